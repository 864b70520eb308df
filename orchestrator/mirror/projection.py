"""What MLflow should show of a job: a run as plain values, from files and states alone."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from enum import StrEnum
from typing import Any, Self

from model.figures import COLOURS
from orchestrator.config import JobConfig
from orchestrator.jobs.facts import JobFacts
from orchestrator.jobs.identity import flatten
from orchestrator.jobs.journal import Point
from orchestrator.jobs.state import JobStatus, State

VALUE_LIMIT = 500
"""Characters of a parameter or tag that every store takes."""


class RunStatus(StrEnum):
    """MLflow's words for what a run does."""

    RUNNING = "RUNNING"
    SCHEDULED = "SCHEDULED"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


STATUS = {
    State.DONE: RunStatus.FINISHED,
    State.RUNNING: RunStatus.RUNNING,
    State.QUEUED: RunStatus.SCHEDULED,
    State.UNKNOWN: RunStatus.SCHEDULED,
    State.STOPPED: RunStatus.KILLED,
    State.CANCELLED: RunStatus.KILLED,
    State.PREEMPTED: RunStatus.SCHEDULED,
    State.FAILED: RunStatus.FAILED,
    State.PLANNED: RunStatus.SCHEDULED,
}
"""By the state of the job, which the tag ``state`` names."""
OVER = (RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED)
COLOUR_TAG = "mlflow.runColor"
"""The colour of a run in MLflow's charts."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A job to be shown: its facts and state, its readable name, its study and sweeps in it.

    ``arm`` is the number of its point but for the seed; arms are told apart by colour.
    """

    name: str
    study: str
    sweeps: tuple[str, ...]
    arm: int
    facts: JobFacts
    status: JobStatus

    @property
    def is_worth_a_run(self) -> bool:
        """Whether it ever started, or could not: what only waits would crowd the list of runs."""
        return bool(self.facts.attempts) or self.status.state is State.FAILED

    @property
    def saved(self) -> int:
        """The step of its newest checkpoint; -1 for none."""
        kept = (attempt.saved for attempt in self.facts.attempts if not attempt.discarded)
        return max(kept, default=-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What an experiment shows: its jobs, and a note on it all.

    ``axes`` are the configuration keys that vary, and whether jobs that train compare by it.
    """

    name: str
    subjects: Sequence[Subject]
    axes: Mapping[str, bool]
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """One job as a run. ``points`` are those it should show, in order; times UTC epoch seconds.

    ``dataset`` is its name and content hash; None while no worker has seen it.
    """

    job: str
    name: str
    status: RunStatus
    start: float
    end: float | None
    params: Mapping[str, str]
    tags: Mapping[str, str]
    dataset: tuple[str, str] | None
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Mark:
    """How much of a job a run has.

    It has the first ``sent`` of its points, and perhaps others up to the ``points``-th, the last
    that was ever on its way, known by its step and time. ``pictured`` is the step of its last
    picture, -1 for none. ``seen`` is a digest of what the projection was made from: while it is the
    same, so is the run; it is empty while something is on its way.
    """

    seen: str = ""
    sent: int = 0
    points: int = 0
    step: int = -1
    time: float = 0.0
    pictured: int = -1

    @classmethod
    def read(cls, text: str | None) -> Self:
        """The mark that a tag holds; that nothing is there, if it holds none."""
        try:
            seen, sent, points, step, time, pictured = json.loads(text or "")
            return cls(str(seen), int(sent), int(points), int(step), float(time), int(pictured))
        except (ValueError, TypeError):
            return cls()

    def __str__(self) -> str:
        return json.dumps(list(astuple(self)))

    def begins(self, points: Sequence[Point]) -> bool:
        """Whether ``points`` begin with all that may be there: none of them was measured anew."""
        if self.points > len(points):
            return False
        if self.points == 0:
            return True
        last = points[self.points - 1]
        return (last.step, last.time) == (self.step, self.time)

    def sending(self, points: Sequence[Point]) -> Self:
        """The mark to leave before these are sent."""
        if not points:
            return replace(self, seen="")
        last = points[-1]
        return replace(self, seen="", points=len(points), step=last.step, time=last.time)

    def complete(self, seen: str, pictured: int) -> Self:
        """The mark to leave when everything was sent."""
        return replace(self, seen=seen, sent=self.points, pictured=pictured)


def seen_of(subject: Subject, sizes: Sequence[int]) -> str:
    """A digest of all that the projection of a job depends on.

    Args:
        subject: the job.
        sizes: of its attempts' journals, in bytes.
    """
    status = subject.status
    known = [
        *(subject.name, subject.sweeps, subject.arm, status.state, status.outcome, status.reason),
        *(sizes, subject.saved, [(a.number, a.ending) for a in subject.facts.attempts]),
    ]
    return hashlib.blake2b(json.dumps(known).encode(), digest_size=8).hexdigest()


def project(subject: Subject, config: JobConfig, points: Sequence[Point]) -> Projection:
    """The run that shows a job.

    Args:
        subject: the job.
        config: its configuration.
        points: its folded journals.
    """
    status = STATUS[subject.status.state]
    over = status in OVER
    first = subject.facts.attempts[0].start.time if subject.facts.attempts else None
    begin = first or (subject.facts.members[0].created if subject.facts.members else 0.0)
    return Projection(
        job=subject.facts.id,
        name=subject.name,
        status=status,
        start=begin,
        end=_end(subject, points, begin) if over else None,
        params=_params(config),
        tags=_tags(subject, config),
        dataset=_dataset(subject, config),
        points=visible(points, saved=subject.saved, over=over),
    )


def visible(points: Sequence[Point], *, saved: int, over: bool) -> list[Point]:
    """The points that will not be measured again: up to the checkpoint, or all once it is over."""
    return [point for point in points if over or point.step <= saved]


def _dataset(subject: Subject, config: JobConfig) -> tuple[str, str] | None:
    for attempt in subject.facts.attempts:
        content_hash = attempt.start.facts.get("content_hash")
        if content_hash:
            return config.data.name, str(content_hash)
    return None


def _end(subject: Subject, points: Sequence[Point], begin: float) -> float:
    """When the last sign of it was given."""
    beats = [attempt.heartbeat for attempt in subject.facts.attempts]
    return max([begin, *beats, *(point.time for point in points[-1:])])


def _params(config: JobConfig) -> dict[str, str]:
    return {key: plain(_text(value)) for key, value in flatten(config.to_plain())}


def _tags(subject: Subject, config: JobConfig) -> dict[str, str]:
    status, attempts = subject.status, subject.facts.attempts
    told = {
        "state": status.state.value,
        "outcome": status.outcome or "",
        "reason": status.reason,
        "rung": "" if status.rung is None else str(status.rung),
        "study": subject.study,
        "sweeps": ", ".join(subject.sweeps),
        "dataset": config.data.name,
        "starts": str(len(attempts)),
        COLOUR_TAG: COLOURS[subject.arm % len(COLOURS)],
    }
    if attempts:
        start = attempts[-1].start
        told |= {
            "host": start.host,
            "code": start.code_hash,
            "data_hash": str(start.facts.get("content_hash") or ""),
            "handle": str(start.facts.get("handle") or ""),
        }
    return {key: plain(value) for key, value in told.items()}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def plain(text: str, limit: int = VALUE_LIMIT) -> str:
    """Text as every store takes it: of at most ``limit`` characters, none of which controls."""
    told = "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text
    )
    return told if len(told) <= limit else f"{told[: limit - 1]}…"
