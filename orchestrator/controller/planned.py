"""What a launch would do, and the document that tells it."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from orchestrator.controller.axes import by_axis
from orchestrator.controller.detect import Promise
from orchestrator.controller.hours import Estimate, Total, finish_hours
from orchestrator.controller.launch import submitted_states
from orchestrator.documents.launches import PlanDocument, PlanJob, PlanSearch
from orchestrator.jobs.spent import Spent
from orchestrator.jobs.state import UNDER_WAY, JobStatus, State
from orchestrator.sweep.expand import Point, Sweep


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Jobs that would be submitted alike: how many, one of them, and the script they would get.

    ``refusals``: why the place would not take them; empty if it would.
    """

    jobs: int
    example: str
    script: str
    refusals: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisValue:
    """The jobs that have one value on one axis: their states, and what they still take."""

    axis: str
    value: str
    counts: Mapping[State, int]
    total: Total


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a launch would do. Sizes in bytes."""

    sweep: Sweep
    statuses: Mapping[str, JobStatus]
    shapes: Sequence[Shape]
    estimates: Mapping[str, Estimate]
    """Of the jobs that are to come, or under way: what they still take."""
    spent: Spent
    """What all jobs took so far."""
    at_once: int | None
    """Jobs that run at a time; None: as many as the cluster has room for."""
    flops: float
    """Floating-point operations of their training."""
    disk_peak: int
    """What the checkpoints of jobs that are to come, or under way, take together at most."""
    disk_after_gc: int
    """What is left of that when all are done and a gc was made."""
    disk_free: int
    """Where the run root is, or would be."""
    supposed: Sequence[str] = ()
    """Datasets that are not there, and were taken to have so many images as one said."""
    decoded: Mapping[tuple[str, int], int]
    """By dataset and ``data.decoded_px``: about what the decoded images take on each node."""

    least: Total | None
    """What they take together if the search stops as many as it can; None: it has no search."""
    promise: Promise | None
    """What its seeds would tell of its arms; None: it trains none."""

    @property
    def counts(self) -> Counter[State]:
        """Jobs by state."""
        return Counter(status.state for status in self.statuses.values())

    @property
    def waiting(self) -> Sequence[JobStatus]:
        """Those that wait for their parents."""
        return [status for status in self.statuses.values() if status.waits]

    @property
    def due(self) -> int:
        """Jobs that a launch would submit."""
        return sum(shape.jobs for shape in self.shapes)

    @property
    def submitted(self) -> list[Estimate]:
        """What the jobs take that a launch would submit, now or when their parents are done."""
        return self._in(submitted_states(self.sweep))

    @property
    def under_way(self) -> list[Estimate]:
        """What the jobs still take that run or wait."""
        return self._in(UNDER_WAY)

    @cached_property
    def finish(self) -> float | None:
        """When all of it is done, if it begins now; UTC epoch seconds; None: not known."""
        hours = finish_hours(self.estimates.values(), self.at_once)
        return None if hours is None else time.time() + 3600 * hours

    def by_axis(self) -> list[AxisValue]:
        """In the order of the sweep: every value of the axes on which its points differ."""
        placed = ((point.axes, point) for point in self.sweep.points)
        return [self._axis_value(axis, value, points) for axis, value, points in by_axis(placed)]

    def _axis_value(self, axis: str, value: str, points: Sequence[Point]) -> AxisValue:
        counts = Counter(self.statuses[point.id].state for point in points)
        told = (self.estimates[point.id] for point in points if point.id in self.estimates)
        return AxisValue(axis=axis, value=value, counts=counts, total=Total.of(told))

    def _in(self, states: Iterable[State]) -> list[Estimate]:
        return [e for job, e in self.estimates.items() if self.statuses[job].state in states]


def as_json(planned: Plan) -> PlanDocument:
    """The documented form of ``plan --json``."""
    total = Total.of(planned.estimates.values())
    return {
        "schema": 1,
        "sweep": planned.sweep.name,
        "counts": planned.counts,
        "axes": [
            {
                "axis": one.axis,
                "value": one.value,
                "counts": one.counts,
                "gpu_hours": one.total.gpu_hours,
                "cpu_hours": one.total.cpu_hours,
            }
            for one in planned.by_axis()
        ],
        "shapes": [
            {"jobs": one.jobs, "example": one.example, "refusals": list(one.refusals)}
            for one in planned.shapes
        ],
        "jobs": [_job(point, planned) for point in planned.sweep.points],
        "gpu_hours": total.gpu_hours,
        "cpu_hours": total.cpu_hours,
        "unknown": total.unknown,
        "finish": planned.finish,
        "flops": planned.flops,
        "disk": {
            "peak": planned.disk_peak,
            "after_gc": planned.disk_after_gc,
            "free": planned.disk_free,
        },
        "supposed": list(planned.supposed),
        "decoded": [
            {"dataset": name, "px": px, "bytes": count}
            for (name, px), count in planned.decoded.items()
        ],
        "detectable": planned.promise.to_plain() if planned.promise else None,
        "search": _search(planned),
    }


def _search(planned: Plan) -> PlanSearch | None:
    asha, least = planned.sweep.search, planned.least
    if asha is None or least is None:
        return None
    return {
        "metric": asha.metric,
        "grace": asha.grace,
        "reduction": asha.reduction,
        "rungs": planned.sweep.rungs,
        "least_gpu_hours": least.gpu_hours,
        "least_cpu_hours": least.cpu_hours,
    }


def _job(point: Point, planned: Plan) -> PlanJob:
    """One that is over, or left alone, takes nothing more."""
    status, estimate = planned.statuses[point.id], planned.estimates.get(point.id)
    return {
        "id": point.id,
        "name": point.name,
        "config": point.config.to_plain(),
        "state": status.state,
        "reason": status.reason,
        "hours": estimate.hours if estimate else 0.0,
        "gpu_hours": estimate.gpu_hours if estimate else 0.0,
        "cpu_hours": estimate.cpu_hours if estimate else 0.0,
        "crossings": estimate.crossings if estimate else 0,
        "basis": estimate.basis if estimate else "",
    }
