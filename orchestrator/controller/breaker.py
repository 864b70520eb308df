"""The circuit breaker: a sweep whose jobs fail alike starts no more of them."""

from collections import Counter
from collections.abc import Mapping

from orchestrator.controller.decide import hold
from orchestrator.controller.survey import Survey
from orchestrator.jobs.layout import Root
from orchestrator.jobs.rules import RULES
from orchestrator.jobs.state import JobStatus, State

UNSTARTED = (State.PLANNED, State.QUEUED)


def common_failure(statuses: Mapping[str, JobStatus], most: int | None) -> str | None:
    """The kind of failure for which at least ``most`` jobs were given up, more than are done.

    None if there is no such kind, or ``most`` is None.
    """
    if most is None:
        return None
    kinds = Counter(
        status.kind
        for status in statuses.values()
        if status.state is State.FAILED and status.given_up
    )
    kind, count = max(kinds.items(), key=lambda item: item[1], default=("", 0))
    done = sum(status.state is State.DONE for status in statuses.values())
    return kind if count >= most and count > done else None


def would_stop(found: Survey, most: int | None) -> bool:
    """Whether there are jobs to be held because others fail alike."""
    return common_failure(_unkept(found), most) is not None and bool(_to_come(found))


def stop_fan_out(root: Root, sweep: str, found: Survey, most: int | None) -> bool:
    """Hold the jobs that have not started, if those that have fail alike; whether it did."""
    kind, waiting = common_failure(_unkept(found), most), _to_come(found)
    if kind is None or not waiting:
        return False
    failed = [s for s in _unkept(found).values() if s.kind == kind and s.state is State.FAILED]
    why = (
        f"{len(failed)} jobs of {sweep} failed alike ({kind}: {RULES[kind].meaning}). "
        f"See: orchestrate failures {sweep}; when that is mended, launch it again"
    )
    hold(root, waiting, why)
    return True


def _unkept(found: Survey) -> dict[str, JobStatus]:
    """Without those that are held or cancelled: they count again when they are freed."""
    return {j: s for j, s in found.statuses.items() if not found.standing.keeps(j)}


def _to_come(found: Survey) -> list[str]:
    """The jobs that would be started for the first time."""
    unstarted = [job for job, status in _unkept(found).items() if status.state in UNSTARTED]
    return [job for job in unstarted if not found.facts[job].attempts]
