"""Why a start failed, by the precedence of evidence; a table makes kinds of words."""

import re
import signal
from dataclasses import dataclass

from orchestrator.jobs.facts import Attempt, End, RankError
from orchestrator.jobs.rules import RULES

RAISED, EXIT, SIGNAL, PLACE = "raised", "exit", "signal", "place"
"""How a start ended: a rank wrote its error; with a code; by a signal; by its place."""
ANY = ".*"
SAID = f"{RAISED}|{EXIT}"

PATTERNS = tuple(
    (kind, re.compile(how), re.compile(words))
    for kind, how, words in (
        # kind, how it ended, and what was said: "Type: message", or the last line of a log
        ("time", PLACE, r"time limit|TIMEOUT|DEADLINE|exit 79"),
        ("node", PLACE, r"a node failed|nodes could not|could not launch|\*\*\* (STEP|JOB)"),
        ("node", PLACE, r"(pool|driver|a node of it|Ray node of its driver) is gone"),
        ("node", PLACE, r"^Ray lost it|^its driver ended"),
        ("preempted", PLACE, r""),
        ("weights", SAID, r"^([\w.]+\.)?WeightsError\b"),
        ("parent", SAID, r"^([\w.]+\.)?ParentError\b"),
        ("gpu_memory", ANY, r"^([\w.]+\.)?OutOfMemoryError\b|(CUDA|HIP) out of memory"),
        ("gpu_memory", ANY, r"CUDA error: out of memory|CUBLAS_STATUS_ALLOC_FAILED"),
        ("gpu_memory", ANY, r"[Cc]uda failure \d* ?'?out of memory"),
        ("import", ANY, r"no kernel image is available|driver version is insufficient"),
        ("import", ANY, r"Found no NVIDIA driver|NVIDIA driver on your system is too old"),
        ("import", ANY, r"not compiled with CUDA|version `?\w+_[\d.]+'? not found"),
        ("import", SAID, r"^(ModuleNotFound|Import)Error\b|cannot open shared object file"),
        ("import", EXIT, r"execve\(\)|command not found"),
        ("import", r"exit 12[67]", r"[Nn]o such file|not found|Permission denied"),
        ("memory", ANY, r"^([\w.]+\.)?_?(Array)?MemoryError\b|DefaultCPUAllocator|std::bad_alloc"),
        ("memory", ANY, r"\[Errno 12\]|[Cc]annot allocate memory|oom[-_ ]kill|OOM Killed"),
        ("memory", ANY, r"Exceeded (job|step) memory limit|Out of memory: Killed process"),
        ("memory", ANY, r"(insufficient|allocate|out of) shared memory|to file </?torch_"),
        ("files", ANY, r"\[Errno (5|107|116|121)\]|Input/output error|Stale (NFS )?file handle"),
        ("files", ANY, r"Transport endpoint is not connected|shows its files late"),
        ("disk", ANY, r"\[Errno (28|122)\]|No space left on device|[Dd]isk quota exceeded"),
        ("disk", ANY, r"PytorchStreamWriter failed|inline_container\S* \. unexpected pos"),
        ("gpu", ANY, r"\b(CUDA|cuDNN)( driver| unknown)? error\b|CU(BLAS|DNN|FFT)_STATUS_"),
        ("gpu", ANY, r"^(torch\.)?AcceleratorError\b|No CUDA GPUs are available|GPU is lost"),
        ("gpu", ANY, r"\bNCCL (error|WARN|operation)|\bnccl\w+Error\b|NCCL communicator was abort"),
        ("gpu", ANY, r"Watchdog caught collective|watchdog thread terminated with exception"),
        ("gpu", ANY, r"NVRM: Xid|\bXid \(|[Uu]ncorrectable ECC|fallen off the bus"),
        ("config", SAID, r"^([\w.]+\.)?(SpecError|ValidationError|ConfigError)\b"),
        ("data", SAID, r"^([\w.]+\.)?(DataError|UnidentifiedImageError|ReadError)\b"),
        ("data", SAID, r"image file is truncated"),
        ("killed", SAID, r"DataLoader worker \(pid .*\) is killed by signal: Killed"),
        ("neighbour", "neighbour", r""),
        ("exception", RAISED, r""),
        ("exception", EXIT, r"^((\w+\.)+[A-Z]\w*|[\w.]*(Error|Exception|Interrupt|Exit))(: |$)"),
        ("exit", EXIT, r""),
        ("killed", r"signal 9$", r""),
        ("crashed", SIGNAL, r""),
    )
)
"""Walked in order; the first row whose two patterns both hold names the kind."""


@dataclass(frozen=True, slots=True)
class Reason:
    """A class of ``RULES`` and the sentence for the user."""

    kind: str
    text: str


def reason_of(attempt: Attempt | None, end: End | None) -> Reason:
    """Name the failure of a start from what its ranks wrote and what its place saw.

    What the place names itself comes first, then a rank that was killed and could write nothing,
    then the first error of a rank that tells more than that another rank is gone, then the exit
    code and the last line of the log.
    """
    errors = attempt.errors if attempt is not None else ()
    killed = end.rank if end is not None and end.signal is not None else None
    silenced = killed is not None and killed not in {error.rank for error in errors}
    if end is not None and end.kind:
        return Reason(end.kind, end.detail or RULES[end.kind].meaning)
    if errors and not silenced:
        return _raised(errors)
    if end is None or (end.exit_code is None and end.signal is None):
        return Reason("vanished", RULES["vanished"].meaning)
    how = f"{SIGNAL} {end.signal}" if end.signal is not None else f"{EXIT} {end.exit_code}"
    kind = kind_of(how, end.detail)
    return Reason(kind, _in_words(kind, end))


def reason_of_place(end: End | None) -> Reason:
    """Name why a place ended a start that was not over; it is no failure of the job's."""
    detail = end.detail if end is not None else ""
    code = f"{EXIT} {end.exit_code}" if end is not None else ""
    return Reason(kind_of(PLACE, f"{detail} {code}"), detail or "ended by its place")


def kind_of(how: str, words: str) -> str:
    """The first kind of ``PATTERNS`` for this way to end and these words."""
    return next(k for k, ended, said in PATTERNS if ended.match(how) and said.search(words))


def _raised(errors: tuple[RankError, ...]) -> Reason:
    """The first error that tells more than that another rank is gone; else the first."""
    own = [error for error in errors if not error.of_neighbour]
    first = (own or errors)[0]
    text = f"{first.exception}: {first.message}"
    return Reason(kind_of(RAISED if own else f"neighbour, {RAISED}", text), text)


def _in_words(kind: str, end: End) -> str:
    if end.signal is None:
        return end.detail or f"ended with exit code {end.exit_code} and no word"
    if kind == "killed":
        return RULES[kind].meaning
    if kind == "crashed":
        return f"ended by {_signal_name(end.signal)}"
    return f"{end.detail} (ended by {_signal_name(end.signal)})"


def _signal_name(number: int) -> str:
    """A real-time signal has no name of its own."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
