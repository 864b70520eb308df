"""The state table: what a job is, from files, orders, one look at the places, and file time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.jobs.facts import Attempt, End, Ending, JobFacts, Member, final_attempt
from orchestrator.jobs.orders import Standing
from orchestrator.jobs.reasons import RULES, Reason, reason_of

UNSTARTED_LIMIT = 3
"""So many places that ended before a worker claimed the job are no accident."""
FRUITLESS_LIMIT = 5
"""So many starts in a row from one and the same step are ended too early to be of use."""
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
    """A member's newest attempt, if it got that far, and the member's end, if it was seen."""

    attempt: Attempt | None = None
    end: End | None = None

    @property
    def by_place(self) -> bool:
        """Whether the place ended the attempt: by a signal that it obeyed, or the hard way."""
        if self.attempt is None or self.attempt.ending is Ending.STOPPED:
            return self.attempt is not None
        told = self.attempt.ending is not None or bool(self.attempt.errors)
        return not told and self.end is not None and self.end.by_place

    @property
    def failed(self) -> bool:
        """Whether it ended badly by its own doing; without an attempt: before it claimed."""
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

    def end(self, member: Member) -> End | None:
        sighting = self.seen.get((member.token, member.index))
        return member.end or (sighting.end if sighting else None)

    def starts(self) -> dict[tuple[str, int], _Start]:
        """By token and index: every member, and attempts of members that nobody knows."""
        attempts = {(a.start.token, a.start.index): a for a in self.job.attempts}
        ends = {(m.token, m.index): self.end(m) for m in self.job.members}
        return {name: _Start(attempts.get(name), ends.get(name)) for name in ends | attempts}

    def sighted(self, sight: Sight) -> list[_Start]:
        """What of the members that their places see so is known otherwise."""
        starts = self.starts()
        names = [
            (m.token, m.index) for m in self.job.members if not m.refused and self.end(m) is None
        ]
        return [starts[n] for n in names if (seen := self.seen.get(n)) and seen.sight is sight]

    def last_attempt(self) -> _Start:
        """The last attempt, with the end of its member."""
        if not self.job.attempts:
            return _Start()
        start = self.job.attempts[-1].start
        return self.starts()[start.token, start.index]

    def lost_places(self) -> int:
        """Members that their place ended before they claimed the job."""
        return sum(
            start.attempt is None and start.end is not None and start.end.by_place
            for start in self.starts().values()
        )

    def progresses(self) -> bool:
        """Whether one of the last starts resumed beyond the one before it, or may have."""
        starts = [attempt.from_step for attempt in self.job.attempts[-FRUITLESS_LIMIT:]]
        return len(starts) < FRUITLESS_LIMIT or len(set(starts)) > 1

    def last_start(self) -> _Start:
        """The newest member's, if it failed before it claimed the job; else the last attempt."""
        newest = next((m for m in reversed(self.job.members) if not m.refused), None)
        if newest is not None:
            start = self.starts()[newest.token, newest.index]
            if start.attempt is None and start.failed:
                return start
        return self.last_attempt()


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
    lost = evidence.lost_places()
    reason = f"{lost} place(s) ended before a worker claimed it" if lost else ""
    return JobStatus(job.id, State.PLANNED, reason=reason, due=lost < UNSTARTED_LIMIT)


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
    final = final_attempt(e.job.attempts)
    if final is None:
        return None
    return JobStatus(e.job.id, State.DONE, outcome=final.ending)


def _running(e: _Evidence) -> JobStatus | None:
    last = e.last_attempt()
    if last.attempt is not None and is_live(last.attempt, last.end, e.now):
        return JobStatus(e.job.id, State.RUNNING, reason=_stopping(e))
    running = e.sighted(Sight.RUNNING)
    if not running:
        return None
    claimed = any(start.attempt is not None for start in running)
    return JobStatus(
        e.job.id, State.RUNNING, reason=_stopping(e) or ("" if claimed else "starting")
    )


def _queued(e: _Evidence) -> JobStatus | None:
    if e.sighted(Sight.WAITING):
        return JobStatus(e.job.id, State.QUEUED, reason=_stopping(e) or "waits for a free place")
    return None


def _unknown(e: _Evidence) -> JobStatus | None:
    starts = e.starts()
    for member in e.job.members:
        if member.refused or e.end(member):
            continue
        if member.handle is None:
            return JobStatus(
                e.job.id, State.UNKNOWN, reason=f"submission {member.token} was not confirmed"
            )
        attempt = starts[member.token, member.index].attempt
        said_so_itself = attempt is not None and attempt.ending is not None
        if (member.token, member.index) not in e.seen and not said_so_itself:
            return JobStatus(
                e.job.id,
                State.UNKNOWN,
                reason=f"{member.executor} does not say what became of it; "
                "if you know that it has ended, cancel it and launch again",
            )
    return None


def _cancelled(e: _Evidence) -> JobStatus | None:
    orders = e.standing.get(e.job.id)
    if not orders:
        return None
    return JobStatus(e.job.id, State.CANCELLED, reason=f"by {orders[-1].who}")


def _preempted(e: _Evidence) -> JobStatus | None:
    start = e.last_start()
    if start.attempt is None or not start.by_place:
        return None
    if start.attempt.ending is Ending.STOPPED:
        reason = "stopped by a signal"
    else:
        reason = (start.end.detail if start.end else "") or "ended by its place"
    if not e.progresses():
        reason = f"{reason}; {FRUITLESS_LIMIT} starts in a row gained no checkpoint"
    return JobStatus(e.job.id, State.PREEMPTED, reason=reason, due=e.progresses())


def _failed(e: _Evidence) -> JobStatus | None:
    start = e.last_start()
    if not start.failed:
        return None
    reason = reason_of(start.attempt, start.end)
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
    return sum(
        start.failed and reason_of(start.attempt, start.end).kind == reason.kind
        for start in e.starts().values()
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
