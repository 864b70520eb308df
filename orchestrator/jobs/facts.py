"""What the files say of a job: its attempts and its memberships, as plain values."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from orchestrator.config import ClusterProfile, Placement, Resources
from orchestrator.errors import RootError, WeightsError
from orchestrator.jobs.files import read_record
from orchestrator.jobs.journal import History, Journal, fold, read_journal, read_start
from orchestrator.jobs.layout import AttemptFolder, JobFolder
from orchestrator.jobs.processes import Process
from orchestrator.jobs.records import Form

STOP_CODES = {"SIGTERM": 75, "SIGUSR2": 79}
"""Exit codes of a worker that stopped neatly, by the signal that asked for it: 75 is EX_TEMPFAIL of
sysexits.h; 79, beyond its range, says that the time given to the worker was about to end."""

NONE_ASKED = Resources()
ANYHOW = Placement()
_NEIGHBOUR = re.compile(
    r"connection (was |has been )?(closed|reset|refused|aborted)|by peer|peer closed|broken pipe"
    r"|gloo.*(timed out|timeout)|nccl (error|communicator)",
    re.IGNORECASE,
)
"""What torch's gloo and NCCL back ends say when another rank has fallen."""


class Ending(StrEnum):
    """How an attempt said it ended, in ``exit.json``."""

    FINISHED = "finished"
    DIVERGED = "diverged"
    STOPPED = "stopped"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Start:
    """An attempt's ``started.json``: who started, where, with which code and data."""

    token: str
    index: int
    restart: int
    time: float
    process: str
    host: str
    code_hash: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RankError:
    """What a failing rank wrote down."""

    rank: int
    time: float
    exception: str
    message: str

    @property
    def of_neighbour(self) -> bool:
        """Whether it tells only that another rank, or the way to it, is gone.

        Of pretrained weights it is their hub that does not answer.
        """
        return self.exception != WeightsError.__name__ and bool(_NEIGHBOUR.search(self.message))


@dataclass(frozen=True, slots=True)
class Attempt:
    """One start of the worker on a job, as far as its files and, on its host, /proc tell.

    ``from_step`` is the step it resumed from: -1 for none, None before its journal begins; ``step``
    the last one it measured, when it ended. ``running`` is None where its process lives on another
    host; ``heartbeat`` is file time.
    """

    number: int
    start: Start
    from_step: int | None
    ending: Ending | None
    step: int
    errors: tuple[RankError, ...]
    heartbeat: float
    running: bool | None
    saved: int = -1
    """The step of the newest checkpoint that it left and that is still kept; -1: none is."""
    discarded: bool = False
    """Whether the job was ordered to begin afresh since: only its life counts."""
    ended: float | None = None
    """When it said how it ended, UTC epoch seconds."""
    signal: str = ""
    """By which signal it was stopped, if it was."""
    weights: str = ""
    """Of a job that ended well and looked at weights: their SHA-256."""

    @property
    def member(self) -> tuple[str, int]:
        """Token and index of the member that it is a start of."""
        return self.start.token, self.start.index


@dataclass(frozen=True, slots=True)
class End:
    """How a place saw a member end.

    ``started`` False: it never started. ``by_place``: the place ended it (preemption, time limit,
    node or pool gone), not the program. ``cancelled``: a person did, through the place.
    """

    time: float
    started: bool
    by_place: bool = False
    exit_code: int | None = None
    signal: int | None = None
    rank: int = 0
    """Whose exit code or signal it is: the rank's that fell first."""
    detail: str = ""
    node: str = ""
    cancelled: bool = False
    kind: str = ""
    """A class of ``reasons.RULES``, where the place itself names one."""


@dataclass(frozen=True, slots=True)
class Member:
    """A job's place in a submission."""

    token: str
    index: int
    executor: str
    created: float
    handle: str | None
    refused: bool
    end: End | None
    restarts: bool = False
    """Whether its place may start it again by itself (requeue)."""
    elsewhere: bool = False
    """Whether it may run on another machine though its place never starts it again."""
    why_refused: str = ""
    placement: Placement = ANYHOW
    resources: Resources = NONE_ASKED
    cluster: ClusterProfile | None = None
    full: bool = False
    """Whether it was refused only because its place took no more at that time."""
    form: Form | None = None
    """What its job is, if that was written down."""


@dataclass(frozen=True, slots=True)
class JobFacts:
    """Everything on disk that decides a job's state; attempts and members oldest first."""

    id: str
    attempts: tuple[Attempt, ...] = ()
    members: tuple[Member, ...] = ()
    fault: str = ""
    """What of it is gone or damaged, though it started before; see ``damage``."""

    @property
    def newest(self) -> Member | None:
        """The last member that its place took, or may have; if it refused all, the last."""
        taken = (member for member in reversed(self.members) if not member.refused)
        return next(taken, self.members[-1] if self.members else None)

    @property
    def form(self) -> Form | None:
        """What the job is by what launched it; None once it has started: its own record counts."""
        if self.attempts:
            return None
        return next((one.form for one in reversed(self.members) if one.form), None)

    @property
    def discarded(self) -> int:
        """The number of the last attempt of which nothing but its life counts; 0: all do."""
        return max((one.number for one in self.attempts if one.discarded), default=0)


def read_attempts(folder: JobFolder, discarded: int = 0) -> tuple[Attempt, ...]:
    """The attempts on a job, oldest first, those up to number ``discarded`` marked so.

    A file of an attempt that cannot be read counts as not there: one damaged job hides no other.
    """
    numbers = folder.attempt_numbers()
    saved = folder.saved_steps() if numbers else {}
    found = (
        _attempt(folder.attempt(n), saved.get(n, -1), discarded=n <= discarded) for n in numbers
    )
    return tuple(attempt for attempt in found if attempt is not None)


def attempt_of(folder: JobFolder, token: str, index: int) -> Attempt | None:
    """The last start of a member on its job, if it got so far."""
    own = [one for one in read_attempts(folder) if one.member == (token, index)]
    return own[-1] if own else None


def final_attempt(attempts: Sequence[Attempt]) -> Attempt | None:
    """The attempt that made a job DONE: it finished or diverged, and no later one resumed below.

    It was not discarded either.

    An attempt that was believed dead may say that it finished while its successor, which resumed
    lower, is still at it; then the successor's word counts, as it does in the fold.
    """
    for place, attempt in reversed(list(enumerate(attempts))):
        later = [one.from_step for one in attempts[place + 1 :] if one.from_step is not None]
        over = attempt.ending in (Ending.FINISHED, Ending.DIVERGED) and not attempt.discarded
        if over and all(start >= attempt.step for start in later):
            return attempt
    return None


def contributors(attempts: Sequence[Attempt]) -> list[Attempt]:
    """The final attempt and those whose steps it went on from, newest first."""
    last = final_attempt(attempts)
    found: list[Attempt] = []
    for attempt in reversed(attempts):
        if last is None or attempt.number > last.number or attempt.discarded:
            continue
        if attempt is last or attempt.from_step is not None:
            found.append(attempt)
        if attempt.from_step == -1:
            break
    return found


def read_history(folder: JobFolder, discarded: int = 0) -> History:
    """The folded journals of a job's attempts."""
    return fold(read_journals(folder, discarded))


def read_journals(folder: JobFolder, discarded: int = 0) -> list[Journal]:
    """The journals of a job's attempts, oldest first; attempts without one are left out.

    So are those up to number ``discarded``.
    """
    numbers = [number for number in folder.attempt_numbers() if number > discarded]
    found = (read_journal(folder.attempt(n).journal, n) for n in numbers)
    return [journal for journal in found if journal is not None]


def _attempt(folder: AttemptFolder, saved: int, *, discarded: bool) -> Attempt | None:
    """An attempt as its files tell; None when its folder was removed meanwhile."""
    heartbeat = _heartbeat(folder)
    if heartbeat is None:
        return None
    start = _start(folder, heartbeat)
    # In this order: what a process wrote before it was seen gone is then surely read.
    running = Process.named(start.process).alive() if start.process else None
    said = _record(folder.exit)
    return Attempt(
        number=folder.number,
        start=start,
        from_step=read_start(folder.journal),
        ending=_ending(said),
        step=said.get("step", -1),
        errors=_errors(folder),
        heartbeat=heartbeat,
        running=running,
        saved=saved,
        discarded=discarded,
        ended=said.get("time"),
        signal=said.get("signal", ""),
        weights=said.get("weights_sha256", ""),
    )


def _heartbeat(folder: AttemptFolder) -> float | None:
    for path in (folder.journal, folder.started, folder.path):
        with suppress(FileNotFoundError, NotADirectoryError):
            return path.stat().st_mtime
    return None


def _start(folder: AttemptFolder, heartbeat: float) -> Start:
    """Who started; nobody's start where that cannot be read: the attempt still has its number."""
    facts = _record(folder.started)
    try:
        known = {key: facts.pop(key) for key in Start.__slots__ if key != "facts"}
        Process.named(known["process"])
    except (KeyError, ValueError):
        return Start("", 0, 0, heartbeat, process="", host="?", code_hash="", facts={})
    return Start(**known, facts=facts)


def _ending(said: Mapping[str, Any]) -> Ending | None:
    return next((ending for ending in Ending if ending == said.get("end")), None)


def _errors(folder: AttemptFolder) -> tuple[RankError, ...]:
    records = (_record(path) for path in folder.errors())
    found = (
        RankError(r["rank"], r["time"], r["exception"], _printable(r["message"]))
        for r in records
        if r.keys() >= set(RankError.__slots__)
    )
    return tuple(sorted(found, key=lambda error: (error.time, error.rank)))


def _record(path: Path) -> dict[str, Any]:
    """What a record of an attempt says: nothing when it is not there or damaged."""
    with suppress(FileNotFoundError, NotADirectoryError, RootError):
        return read_record(path)
    return {}


def _printable(text: str) -> str:
    """A file name that is not UTF-8 comes as lone surrogates, which no terminal takes."""
    return text.encode(errors="backslashreplace").decode()
