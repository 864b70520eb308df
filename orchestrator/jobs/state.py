"""The state table: what a job is, from files, orders, one look at the places, and file time."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from orchestrator.config import Resources
from orchestrator.config.rules import Action
from orchestrator.jobs.evidence import Evidence, Sight, Sightings, is_live
from orchestrator.jobs.facts import Attempt, Ending, JobFacts, Member, final_attempt
from orchestrator.jobs.orders import Standing
from orchestrator.jobs.reasons import reason_of, reason_of_place
from orchestrator.jobs.rules import MEMORY, NODE, TIME, Rule, can_help, rule_of

UNSTARTED_LIMIT = 3
"""So many places that ended before a worker claimed the job are no accident."""


REFUSED_LIMIT = 5
"""So many refusals in a row do not pass by themselves."""
SILENT = "does not say what became of it; if you know that it has ended, cancel it and launch again"
RESTORE = "restore it from a backup, or train it again: launch its sweep with --fresh POINT"
ABSENT = "does not know it; if that stays so for a minute, it has ended"
LATE = "says that it has ended; what it wrote last is not visible here yet"


class State(StrEnum):
    """In the order in which the table's rows are tried."""

    DONE = "DONE"
    RUNNING = "RUNNING"
    QUEUED = "QUEUED"
    UNKNOWN = "UNKNOWN"
    STOPPED = "STOPPED"
    CANCELLED = "CANCELLED"
    PREEMPTED = "PREEMPTED"
    FAILED = "FAILED"
    PLANNED = "PLANNED"


UNDER_WAY = (State.RUNNING, State.QUEUED)
MAY_BE_DUE = (State.PREEMPTED, State.FAILED, State.PLANNED)


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job's state, why, and whether it is due: ``watch`` may submit it by itself.

    ``due_at``: when it will be due by itself, UTC epoch seconds, if that is not yet. ``kind``: the
    class of ``RULES`` that its last start fell under, and ``tries`` how many of that class's tries
    are spent, where they are counted. ``lacked``: what starts had too little of, and what they
    had; ``avoid``: nodes that its next one should not get; ``held``: whether an order keeps it;
    ``waits``: whether it lacks what its parent is to leave, and ``in_vain`` whether that will not
    come by itself; ``rung``: the number of the one at which its sweep's search ended it.
    """

    id: str
    state: State
    outcome: str | None = None
    reason: str = ""
    due: bool = False
    due_at: float | None = None
    kind: str = ""
    tries: int = 0
    lacked: tuple[tuple[Action, Resources], ...] = ()
    avoid: tuple[str, ...] = ()
    held: bool = False
    waits: bool = False
    in_vain: bool = False
    rung: int | None = None

    @property
    def given_up(self) -> bool:
        """Whether ``watch`` leaves it to people to submit it again."""
        idle = self.state in MAY_BE_DUE and not self.due and self.due_at is None
        return idle and not self.waits


def status_of(job: JobFacts, standing: Standing, seen: Sightings, now: float) -> JobStatus:
    """The first row of the table that holds.

    Args:
        job: what the files say.
        standing: the orders that stand.
        seen: one look at every place, or what could be had of it.
        now: file time, UTC epoch seconds.
    """
    evidence = Evidence(job, standing, seen, now)
    status = next(status for row in _ROWS if (status := row(evidence)) is not None)
    if status.state not in MAY_BE_DUE:
        return status
    if evidence.held:
        planned = status.state is State.PLANNED
        reason = f"held: {evidence.held[-1].why}" if planned else status.reason
        return replace(status, due=False, due_at=None, reason=reason, held=True)
    if len(evidence.refusals()) >= REFUSED_LIMIT:
        status = replace(status, due=False, due_at=None)
    lacked, avoid = _lacked(evidence)
    return replace(status, lacked=lacked, avoid=avoid)


def _done(e: Evidence) -> JobStatus | None:
    final = final_attempt(e.job.attempts)
    if final is None or e.job.fault:
        return None
    return JobStatus(e.job.id, State.DONE, outcome=final.ending)


def _running(e: Evidence) -> JobStatus | None:
    last = e.last_attempt()
    live = last.attempt is not None and is_live(last.attempt, last.end, e.now)
    if live and last.attempt is not None and not e.restarted(last.attempt):
        return JobStatus(e.job.id, State.RUNNING, reason=_stopping(e))
    running = e.sighted(Sight.RUNNING)
    if not running:
        return None
    words = e.detail(Sight.RUNNING) or _meanwhile(running[-1].attempt)
    return JobStatus(e.job.id, State.RUNNING, reason=_stopping(e) or words)


def _meanwhile(attempt: Attempt | None) -> str:
    """What a member does whose place says only that it runs."""
    if attempt is None:
        return "starting"
    return "has saved its state and is about to end" if attempt.ending is Ending.STOPPED else ""


def _queued(e: Evidence) -> JobStatus | None:
    if e.sighted(Sight.WAITING):
        words = e.detail(Sight.WAITING) or "waits for a free place"
        leaving = _stopping(e) or ("is being withdrawn" if e.held else "")
        return JobStatus(e.job.id, State.QUEUED, reason=leaving or words)
    return None


def _damaged(e: Evidence) -> JobStatus | None:
    if not e.job.fault or e.late():
        return None
    return JobStatus(e.job.id, State.UNKNOWN, reason=f"{e.job.fault}; {RESTORE}")


def _unknown(e: Evidence) -> JobStatus | None:
    starts = e.starts()
    for member in e.job.members:
        if member.refused or e.end(member):
            continue
        if member.handle is None:
            return JobStatus(
                e.job.id, State.UNKNOWN, reason=f"submission {member.token} was not confirmed"
            )
        seen = e.seen.get((member.token, member.index))
        silent = seen is None or seen.sight is Sight.ABSENT
        if silent and not _said_so_itself(member, starts[member.token, member.index].attempt):
            words = SILENT if seen is None else ABSENT
            return JobStatus(e.job.id, State.UNKNOWN, reason=f"{member.executor} {words}")
    if late := e.late():
        return JobStatus(e.job.id, State.UNKNOWN, reason=f"{late.executor} {LATE}")
    return None


def _said_so_itself(member: Member, attempt: Attempt | None) -> bool:
    """Whether a member's own exit tells that it is over, whatever its place says.

    Where the place starts members again, one that was stopped may just be waiting.
    """
    if attempt is None or attempt.ending is None:
        return False
    return attempt.ending is not Ending.STOPPED or not member.restarts


def _stopped(e: Evidence) -> JobStatus | None:
    orders = e.standing.stops.get(e.job.id)
    if not orders or e.standing.cancels.get(e.job.id):
        return None
    rung = orders[0].at.rung if orders[0].at else None
    return JobStatus(e.job.id, State.STOPPED, reason=orders[0].why, rung=rung)


def _cancelled(e: Evidence) -> JobStatus | None:
    orders = e.standing.cancels.get(e.job.id)
    if orders:
        return JobStatus(e.job.id, State.CANCELLED, reason=f"by {orders[-1].who}")
    newest = e.newest_member()
    if newest is None or e.held or not e.counts(newest.token):
        return None
    end = e.end(newest)
    if end is None or not end.cancelled:
        return None
    return JobStatus(e.job.id, State.CANCELLED, reason=end.detail)


def _preempted(e: Evidence) -> JobStatus | None:
    start = e.last_start()
    if start.attempt is None or not start.by_place:
        return None
    why = reason_of_place(start.end)
    reason = "stopped by a signal" if start.attempt.ending is Ending.STOPPED else why.text
    rule, fruitless = _rule(e, why.kind), e.fruitless()
    if fruitless > rule.retries:
        reason = f"{reason}; {fruitless} starts in a row gained no checkpoint"
    status = JobStatus(e.job.id, State.PREEMPTED, reason=reason, kind=why.kind)
    return _again(e, status, rule, fruitless)


def _failed(e: Evidence) -> JobStatus | None:
    start = e.last_start()
    if not start.failed:
        return None
    reason = reason_of(start.attempt, start.end)
    failed = JobStatus(e.job.id, State.FAILED, reason=reason.text, kind=reason.kind)
    if start not in e.counted():
        return replace(failed, due=True)
    rule, tries = _rule(e, reason.kind), _tries(e, reason.kind)
    if rule.retries == 0 or not _can_help(e, rule):
        return replace(failed, tries=tries)
    return _again(e, replace(failed, tries=tries), rule, tries)


def _again(e: Evidence, status: JobStatus, rule: Rule, spent: int) -> JobStatus:
    """Due once the back-off is over, if tries are left; ``spent``: so many are gone."""
    if spent > rule.retries:
        return status
    due_at = e.last_start().over_since(e.now) + rule.back_off_s * 2 ** max(0, spent - 1)
    return replace(status, due=True) if e.now >= due_at else replace(status, due_at=due_at)


def _planned(e: Evidence) -> JobStatus:
    lost, refusals = e.lost_places(), e.refusals()
    reason = f"{lost} place(s) ended before a worker claimed it" if lost else ""
    if refusals:
        reason = f"refused: {refusals[0]}"
    if words := e.lacks_room():
        reason = f"waits to be submitted: {words}"
    due = lost < UNSTARTED_LIMIT
    return JobStatus(e.job.id, State.PLANNED, reason=reason, due=due)


def _stopping(e: Evidence) -> str:
    if e.standing.cancels.get(e.job.id):
        return "is being cancelled"
    stops = e.standing.stops.get(e.job.id)
    return f"is being stopped: {stops[0].why}" if stops else ""


def _rule(e: Evidence, kind: str) -> Rule:
    """The rule where the job ran last."""
    newest = e.newest_member()
    return rule_of(kind, newest.cluster if newest else None)


def _can_help(e: Evidence, rule: Rule) -> bool:
    newest = e.newest_member()
    return newest is None or can_help(rule.action, newest.resources, newest.cluster)


def _tries(e: Evidence, kind: str) -> int:
    """Starts that failed for this kind of reason and gained no checkpoint, the newest included."""
    return sum(
        start.failed and not e.gained(start) and reason_of(start.attempt, start.end).kind == kind
        for start in e.counted()
    )


def _lacked(e: Evidence) -> tuple[tuple[tuple[Action, Resources], ...], tuple[str, ...]]:
    """What starts that gained nothing lacked, and on what; the nodes on which others failed."""
    lacked, avoid = [], []
    starts = e.starts()
    for member in e.job.members:
        start = starts[member.token, member.index]
        idle = not (start.failed or start.by_place) or e.gained(start)
        if idle or not e.counts(member.token):
            continue
        failed = reason_of(start.attempt, start.end) if start.failed else None
        action = _rule(e, (failed or reason_of_place(start.end)).kind).action
        if action in (MEMORY, TIME):
            lacked.append((action, member.resources))
        if action is NODE and start.end and start.end.node:
            avoid.append(start.end.node)
    return tuple(lacked), tuple(dict.fromkeys(avoid))


_ROWS: tuple[Callable[[Evidence], JobStatus | None], ...] = (
    _done,
    _running,
    _queued,
    _damaged,
    _unknown,
    _stopped,
    _cancelled,
    _preempted,
    _failed,
    _planned,
)
