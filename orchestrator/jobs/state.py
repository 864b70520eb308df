"""The state table: what a job is, from files, orders, one look at the places, and file time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.jobs.facts import Attempt, End, Ending, JobFacts, Member
from orchestrator.jobs.orders import Standing
from orchestrator.jobs.reasons import RULES, Reason, reason_of

LIVE_S = 300.0
"""A heartbeat older than this no longer shows life."""


class State(StrEnum):
    """In the order in which the table's rows are tried."""

    DONE = "DONE"
    RUNNING = "RUNNING"
    QUEUED = "QUEUED"
    UNKNOWN = "UNKNOWN"
    CANCELLED = "CANCELLED"
    PREEMPTED = "PREEMPTED"
    FAILED = "FAILED"
    PLANNED = "PLANNED"


class Sight(StrEnum):
    """What a place says of a member."""

    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Sighting:
    """One member as its place saw it; ``end`` belongs to ENDED."""

    sight: Sight
    end: End | None = None


Sightings = Mapping[tuple[str, int], Sighting]
"""By token and index. A member that is not in it was not covered by a complete answer."""


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job's state, why, and whether it is due: ``watch`` may submit it by itself."""

    id: str
    state: State
    outcome: str | None = None
    reason: str = ""
    due: bool = False


@dataclass(frozen=True, slots=True)
class _Start:
    """A member's newest attempt, None if it never claimed the job, and its end if it was seen."""

    attempt: Attempt | None
    end: End | None

    @property
    def by_place(self) -> bool:
        """Whether the place ended the attempt, by a signal that it obeyed or without its doing."""
        if self.attempt is None or self.attempt.ending is Ending.STOPPED:
            return self.attempt is not None
        ended_by_itself = self.attempt.ending is not None or self.attempt.errors
        return not ended_by_itself and self.end is not None and self.end.by_place

    @property
    def failed(self) -> bool:
        """Whether it ended badly by its own doing; without an attempt: instead of claiming."""
        if self.attempt is not None:
            return not self.by_place
        end = self.end
        return end is not None and end.started and not end.by_place and end.exit_code != 0


@dataclass(frozen=True, slots=True)
class _Evidence:
    job: JobFacts
    standing: Standing
    seen: Sightings
    now: float

    @property
    def last(self) -> Attempt | None:
        return self.job.attempts[-1] if self.job.attempts else None

    def end(self, member: Member) -> End | None:
        sighting = self.seen.get((member.token, member.index))
        return member.end or (sighting.end if sighting else None)

    def sights(self, sight: Sight) -> bool:
        return any(
            self.end(member) is None
            and (sighting := self.seen.get((member.token, member.index))) is not None
            and sighting.sight is sight
            for member in self.job.members
            if not member.refused
        )

    def starts(self) -> list[_Start]:
        """Every member, with its newest attempt and its end as far as there are such."""
        members = {(m.token, m.index): m for m in self.job.members}
        attempts = {(a.start.token, a.start.index): a for a in self.job.attempts}
        return [
            _Start(attempts.get(name), self.end(members[name]) if name in members else None)
            for name in members | attempts
        ]

    def last_start(self) -> _Start:
        """The newest member's, if it failed before it claimed the job; else the last attempt."""
        starts = self.starts()
        newest = [m for m in self.job.members if not m.refused][-1:]
XX

def status_of(job: JobFacts, standing: Standing, seen: Sightings, now: float) -> JobStatus:
    """The first row of the table that holds.

    Args:
        job: what the files say.
        standing: the orders that stand.
        seen: one look at every place, or what could be had of it.
        now: file time, UTC epoch seconds.
    """
    evidence = _Evidence(job, standing, seen, now)
    for row in _ROWS:
        status = row(evidence)
        if status is not None:
            return status
    return JobStatus(job.id, State.PLANNED, due=True)


def is_live(attempt: Attempt, end: End | None, now: float) -> bool:
    """No exit, a recent heartbeat, and no proof of death.

    Proof is an end that its place recorded after the attempt had started, or a process seen gone.
    A place that says it never started it knows nothing of it.
    """
    if attempt.ending is not None or now - attempt.heartbeat > LIVE_S:
        return False
    if end is not None and end.started and end.time >= attempt.start.time:
        return False
    return attempt.running is not False


def _done(e: _Evidence) -> JobStatus | None:
    for attempt in reversed(e.job.attempts):
        if attempt.ending in (Ending.FINISHED, Ending.DIVERGED):
            return JobStatus(e.job.id, State.DONE, outcome=attempt.ending.value)
    return None


def _running(e: _Evidence) -> JobStatus | None:
    last = e.last_attempt()
    if last.attempt and is_live(last.attempt, last.end, e.now):
        return JobStatus(e.job.id, State.RUNNING, reason=_stopping(e))
    if e.sights(Sight.RUNNING):
        return JobStatus(e.job.id, State.RUNNING, reason=_stopping(e) or "starting")
    return None


def _queued(e: _Evidence) -> JobStatus | None:
    if e.sights(Sight.WAITING):
        return JobStatus(e.job.id, State.QUEUED, reason=_stopping(e) or "waits for a free place")
    return None


def _unknown(e: _Evidence) -> JobStatus | None:
    for member in e.job.members:
        if member.refused or e.end(member):
            continue
        if member.handle is None:
            return JobStatus(
                e.job.id, State.UNKNOWN, reason=f"submission {member.token} was not confirmed"
            )
        if (member.token, member.index) not in e.seen:
            return JobStatus(
                e.job.id, State.UNKNOWN, reason=f"{member.executor} did not say what became of it"
            )
    return None


def _cancelled(e: _Evidence) -> JobStatus | None:
    orders = e.standing.get(e.job.id)
    if not orders:
        return None
    return JobStatus(e.job.id, State.CANCELLED, reason=f"by {orders[-1].who}")


def _preempted(e: _Evidence) -> JobStatus | None:
    attempt, end = e.last_start()
    if attempt is None:
        return None
    if attempt.ending is Ending.STOPPED:
        return JobStatus(e.job.id, State.PREEMPTED, reason="stopped by a signal", due=True)
    if attempt.ending is None and not attempt.errors and end is not None and end.by_place:
        return JobStatus(e.job.id, State.PREEMPTED, reason=end.detail, due=True)
    return None


def _failed(e: _Evidence) -> JobStatus | None:
    attempt, end = e.last_start()
    if attempt is None and (end is None or not end.started or end.by_place):
        return None
    reason = reason_of(attempt, end)
    return JobStatus(
        e.job.id,
        State.FAILED,
        reason=reason.text,
        due=_failures(e, reason) <= RULES[reason.kind].retries,
    )


def _stopping(e: _Evidence) -> str:
    return "is being cancelled" if e.standing.get(e.job.id) else ""


def _failures(e: _Evidence, reason: Reason) -> int:
    """Starts that failed for this kind of reason, the newest included."""
    ends = {(m.token, m.index): e.end(m) for m in e.job.members}
    attempts = {(a.start.token, a.start.index): a for a in e.job.attempts}
    starts = [(attempts.get(name), ends.get(name)) for name in {**ends, **attempts}]
    return sum(
        attempt is not None or (end is not None and end.started and end.exit_code != 0)
        for attempt, end in starts
        if (attempt is None or attempt.ending is not Ending.STOPPED)
        and reason_of(attempt, end).kind == reason.kind
    )


_ROWS: tuple[Callable[[_Evidence], JobStatus | None], ...] = (
    _done,
    _running,
    _queued,
    _unknown,
    _cancelled,
    _preempted,
    _failed,
)
