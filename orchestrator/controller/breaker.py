"""The circuit breaker: a sweep whose jobs fail alike, or have cost enough, starts no more."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from orchestrator.controller.budget import budget_spent
from orchestrator.controller.decide import hold
from orchestrator.controller.survey import Survey
from orchestrator.jobs.layout import Root
from orchestrator.jobs.rules import RULES
from orchestrator.jobs.state import JobStatus, State

UNSTARTED = (State.PLANNED, State.QUEUED)


@dataclass(frozen=True, slots=True)
class Limits:
    """What stops a sweep, as its newest revision has it; null: nothing does."""

    failures: int | None
    """Jobs given up for one kind of failure, if they are more than are done."""
    gpu_hours: float | None
    """Spent by all starts of its jobs."""

    @classmethod
    def of_revision(cls, revision: Mapping[str, Any]) -> Self:
        """Older programs wrote no such keys."""
        return cls(revision.get("max_failures"), revision.get("max_gpu_hours"))


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


def would_stop(found: Survey, limits: Limits) -> bool:
    """Whether there are jobs to be held because others fail alike, or have cost enough."""
    return bool(_to_come(found)) and _why("", found, limits) is not None


def stop_fan_out(root: Root, sweep: str, found: Survey, limits: Limits) -> bool:
    """Hold the jobs that have not started, if there is a reason to; whether it did."""
    waiting = _to_come(found)
    why = _why(sweep, found, limits) if waiting else None
    if why is None:
        return False
    hold(root, waiting, why)
    return True


def unkept(found: Survey) -> dict[str, JobStatus]:
    """Without those that are held or cancelled: they count again when they are freed."""
    return {j: s for j, s in found.statuses.items() if not found.standing.keeps(j)}


def _why(sweep: str, found: Survey, limits: Limits) -> str | None:
    """Why no further jobs of the sweep are started; None: they are."""
    kind = common_failure(unkept(found), limits.failures)
    if kind is None:
        return budget_spent(sweep, found, limits.gpu_hours)
    failed = [s for s in unkept(found).values() if s.kind == kind and s.state is State.FAILED]
    return (
        f"{len(failed)} jobs of {sweep} failed alike ({kind}: {RULES[kind].meaning}). "
        f"See: orchestrate failures {sweep}; when that is mended, launch it again"
    )


def _to_come(found: Survey) -> list[str]:
    """The jobs that would be started for the first time."""
    unstarted = [job for job, status in unkept(found).items() if status.state in UNSTARTED]
    return [job for job in unstarted if not found.facts[job].attempts]
