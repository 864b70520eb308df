"""Questions to SLURM: for each the command, and what its answer means as plain values."""

import os
import re
import subprocess
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

ANSWER_S = 30.0
"""A command that takes longer counts as unanswered."""
MOST_ASKED = 5000
"""Jobs in one question: the kernel takes no word of a command beyond 128 KiB."""
QUEUE_FIELDS = {
    "ArrayJobID": 20,
    "ArrayTaskID": 20,
    "Name": 100,
    "State": 20,
    "Reason": 100,
    "RestartCnt": 10,
    "NodeList": 100,
    "StartTime": 20,
    "EndTime": 20,
    "exit_code": 12,
}
"""By field, at which width squeue cuts it: only long lists of nodes and reasons are."""
RECORD_FIELDS = ("JobID", "JobName", "State", "ExitCode", "Start", "End", "NodeList")
WHOLE = -1
"""In place of a member's index: of a job that is no array, or of an array that never started."""
TENDERS = "o-watch-"
"""How the names of the jobs begin that tend sweeps."""
KEPT_VARIABLES = frozenset({"SLURM_CONF", "SLURM_JWT"})
FOREIGN = re.compile(r"(SLURM|SBATCH|SALLOC|SRUN|SQUEUE|SACCT|SCANCEL|SINFO)_")


class NoAnswer(Exception):  # noqa: N818 - it is one
    """SLURM, or a part of it, did not answer; the message says which command and its words."""


class NotHere(NoAnswer):
    """This machine has no SLURM that could be asked."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """What the cluster that this machine talks to says of itself."""

    name: str
    max_array: int
    """Members of its largest array."""
    accounting: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One array member as SLURM tells it; times are UTC epoch seconds, None where there is none.

    ``restart`` is None where SLURM does not say; ``exit_code`` and ``signal`` are the script's.
    """

    array: str
    index: int
    name: str
    state: str
    reason: str = ""
    restart: int | None = None
    nodes: str = ""
    start: float | None = None
    end: float | None = None
    exit_code: int = 0
    signal: int = 0


def job_name(token: str) -> str:
    """SLURM's name for a submission."""
    return f"o-{token}"


def ask(*command: str, text: str | None = None) -> str:
    """What a command of SLURM prints.

    Raises:
        NoAnswer: it is not there, took too long, or failed.
    """
    try:
        done = subprocess.run(
            command,
            input=text,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=ANSWER_S,
            check=False,
            env=clean_environment(os.environ),
        )
    except FileNotFoundError:
        raise NotHere(f"this machine has no {command[0]}") from None
    except subprocess.TimeoutExpired:
        raise NoAnswer(f"{command[0]} did not answer within {ANSWER_S:.0f} s") from None
    if done.returncode or "error:" in done.stderr:
        words = " ".join((done.stderr or done.stdout).split())
        raise NoAnswer(f"{command[0]}: {words or f'exit code {done.returncode}'}")
    return done.stdout + (done.stderr if "--test-only" in command else "")


def foreign_variables(environment: Mapping[str, str]) -> list[str]:
    """Variables of a surrounding job, or of a user's habits, that would change what is asked."""
    return sorted(v for v in environment if FOREIGN.match(v) and v not in KEPT_VARIABLES)


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without them, with times as epochs and words in English."""
    foreign = set(foreign_variables(environment))
    kept = {name: value for name, value in environment.items() if name not in foreign}
    return {**kept, "SLURM_TIME_FORMAT": "%s", "LC_ALL": "C"}


@cache
def cluster() -> Cluster:
    """The cluster of this machine's SLURM configuration; asked once.

    Raises:
        NoAnswer: it did not say.
    """
    return parse_config(ask("scontrol", "show", "config"))


def parse_config(answer: str) -> Cluster:
    found = dict(re.findall(r"^(\w+)\s*= (.*)$", answer, re.MULTILINE))
    if not found.get("ClusterName", "").strip():
        raise NoAnswer("scontrol: it shows no ClusterName")
    storage = found.get("AccountingStorageType", "(null)").strip()
    return Cluster(
        name=found["ClusterName"].strip(),
        max_array=max(1, int(found.get("MaxArraySize", "1001")) - 1),
        accounting=storage not in ("(null)", "accounting_storage/none"),
    )


def queue(names: Collection[str]) -> list[Row]:
    """The members, waiting, running or ended not long ago, of the jobs with these names.

    Raises:
        NoAnswer: what is missing from the rows says nothing then.
    """
    fields = ",".join(f"{field}:{width}|" for field, width in QUEUE_FIELDS.items())
    options = ("--noheader", "--array", "--states=all", f"--Format={fields}")
    answers = (ask("squeue", *options, f"--name={','.join(some)}") for some in portions(names))
    return [row for answer in answers for row in parse_queue(answer)]


def portions(asked: Collection[str]) -> list[list[str]]:
    """In order, as many at a time as one command takes."""
    ordered = sorted(asked)
    return [ordered[n : n + MOST_ASKED] for n in range(0, len(ordered), MOST_ASKED)]


def parse_queue(answer: str) -> list[Row]:
    """The rows of squeue; a member that SLURM still lists together with others is told apart.

    Raises:
        NoAnswer: a line cannot be read; to pass over it would make its member look forgotten.
    """
    rows = []
    for line in answer.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) != len(QUEUE_FIELDS) + 1:  # each field ends with the separator
            raise NoAnswer(f"squeue: a line that cannot be read: {line.strip()[:80]!r}")
        told = dict(zip(QUEUE_FIELDS, cells, strict=False))
        for index in list(indices(told["ArrayTaskID"])) or [WHOLE]:
            row = Row(
                array=told["ArrayJobID"],
                index=index,
                name=told["Name"],
                state=told["State"],
                reason=told["Reason"],
                restart=int(told["RestartCnt"]) if told["RestartCnt"].isdecimal() else None,
                nodes=_nodes(told["NodeList"]),
                start=_time(told["StartTime"]),
                end=_time(told["EndTime"]),
                **_exit(told["exit_code"]),
            )
            rows.append(row)
    return rows


def my_members() -> list[str]:
    """The names of this user's array members and jobs in the queue, whoever submitted them.

    Raises:
        NoAnswer: it is not known.
    """
    return ask("squeue", "--me", "--noheader", "--array", "--format=%j").splitlines()


def records(
    *, since: float, arrays: Collection[str] = (), names: Collection[str] = ()
) -> list[Row]:
    """What accounting holds of these arrays, or of the arrays with these names.

    Args:
        since: UTC epoch seconds; sacct looks at today only unless it is told.
        arrays: SLURM's numbers.
        names: or the jobs' names.

    Raises:
        NoAnswer: accounting is slow, down, or off.
    """
    fields = f"--format={','.join(RECORD_FIELDS)}"
    options = ("--noheader", "--parsable2", "--allocations", fields, f"--starttime=uts{int(since)}")
    which = "--jobs" if arrays else "--name"
    some = portions(arrays or names)
    answers = (ask("sacct", *options, f"{which}={','.join(one)}") for one in some)
    return [row for answer in answers for row in parse_records(answer)]


def parse_records(answer: str) -> list[Row]:
    rows = []
    for line in answer.splitlines():
        cells = line.split("|")
        if len(cells) != len(RECORD_FIELDS):
            raise NoAnswer(f"sacct: a line that cannot be read: {line.strip()[:80]!r}")
        job, name, state, code, start, end, nodes = cells
        array, _, members = job.partition("_")
        row = Row(
            array=array,
            index=WHOLE,
            name=name,
            state=state.partition(" ")[0],
            reason=state.partition(" ")[2],
            nodes=_nodes(nodes),
            start=_time(start),
            end=_time(end),
            **_exit(code),
        )
        rows += [replace(row, index=index) for index in indices(members)] if members else [row]
    return rows


def indices(text: str) -> Iterator[int]:
    """Members as SLURM writes them: ``7``, or ``[0-3,9%2]`` for several that still wait."""
    for part in text.strip("[]").partition("%")[0].split(","):
        first, _, last = part.partition("-")
        if first.isdecimal():
            yield from range(int(first), int(last.partition(":")[0] or first) + 1)


def _time(text: str) -> float | None:
    return float(text) if text.isdecimal() and int(text) else None


def _nodes(text: str) -> str:
    return "" if text in ("(null)", "None assigned", "n/a") else text


def _exit(text: str) -> dict[str, int]:
    """``3:0``, exit code and signal; a bare number is what wait(2) gave."""
    code, colon, signal = text.partition(":")
    if not code.isdecimal():
        return {}
    if colon:
        return {"exit_code": int(code), "signal": int(signal or 0)}
    return {"exit_code": int(code) >> 8, "signal": int(code) & 127}
