"""The verb plan: what a launch would do, and what it needs; nothing is written."""

import shutil
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from orchestrator.config import ClusterProfile, RaySite, RunConfig
from orchestrator.controller.axes import by_axis
from orchestrator.controller.budget import check_budget
from orchestrator.controller.checks import check_data, check_profile
from orchestrator.controller.detect import Promise, promise
from orchestrator.controller.hours import (
    Estimate,
    Total,
    estimates,
    finish_hours,
    jobs_at_once,
    shares_left,
)
from orchestrator.controller.launch import submits, submitted_states
from orchestrator.controller.machine import existing
from orchestrator.controller.parents import check_parents, look
from orchestrator.controller.secrecy import check_settings
from orchestrator.controller.spent import spent
from orchestrator.controller.submit import Due, Terms, draft, remedied
from orchestrator.documents.launches import PlanDocument, PlanJob, PlanSearch
from orchestrator.errors import SpecError
from orchestrator.executors import executor_named
from orchestrator.jobs.code import code_hash
from orchestrator.jobs.layout import Root
from orchestrator.jobs.spent import Spent
from orchestrator.jobs.state import UNDER_WAY, JobStatus, State
from orchestrator.jobs.store import root_there
from orchestrator.sweep.cost import decoded_bytes, disk_of, training_flops
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


def plan(  # noqa: PLR0913 - what the command line gives
    sweep: Sweep,
    *,
    root_path: Path,
    data_root: Path,
    cluster: ClusterProfile | None = None,
    ray: RaySite | None = None,
    images: int | None = None,
) -> Plan:
    """Check the sweep as a launch does, and tell what it would do.

    What its place itself says of a shape stands with it. A dataset that is not there yet is taken
    to have ``images`` training images, if that is given.

    Raises:
        SpecError: the sweep does not fit its data or its cluster's profile, or it holds a secret.
        DataError: a dataset is missing or damaged.
        RootError: the root is damaged, or of a newer version.
    """
    manifests, supposed = check_data(sweep, data_root, images)
    terms = Terms(sweep.executor, sweep.max_parallel, data_root, cluster, ray)
    check_profile(sweep, terms)
    check_settings(sweep, cluster)
    check_parents(sweep, root_path)
    root = root_there(root_path)
    found = look(root, sweep.points) if root else None
    statuses = found.statuses if found else {point.id: _new(point) for point in sweep.points}
    states = (*submitted_states(sweep), *UNDER_WAY)
    coming = [p for p in sweep.points if statuses[p.id].state in states]
    left = dict.fromkeys((point.id for point in coming), 1.0)
    if root is not None and found is not None:
        left = shares_left(root, left, found)
    disk = [disk_of(point.config, point.placement) for point in coming]
    data = [p.config.data for p in coming if isinstance(p.config, RunConfig)]
    decoded = {(one.name, one.decoded_px) for one in data if one.decoded_px}
    costs = estimates(root, coming, left, terms, manifests)
    return Plan(
        sweep=sweep,
        statuses=statuses,
        shapes=_shapes(sweep, terms, root_path, statuses),
        estimates=costs,
        spent=spent(found) if found else Spent(),
        at_once=jobs_at_once([point.placement for point in coming], terms),
        flops=sum(
            left[point.id] * training_flops(point.config, manifests[point.config.data.name])
            for point in coming
            if isinstance(point.config, RunConfig)
        ),
        disk_peak=sum(one.peak for one in disk),
        disk_after_gc=sum(one.after_gc for one in disk),
        disk_free=shutil.disk_usage(existing(root_path)).free,
        supposed=supposed,
        decoded={(name, px): decoded_bytes(manifests[name], px) for name, px in sorted(decoded)},
        least=_least(sweep, [costs[job] for job, share in left.items() if share == 1.0]),
        promise=promise(root, sweep),
    )


def check_plan(planned: Plan, max_gpu_hours: float | None = None) -> list[str]:
    """Make sure that a launch would be taken, and keep a budget; what is to be said of that.

    ``max_gpu_hours`` stands in for the sweep's own.

    Raises:
        SpecError: the place would refuse a shape of job, or the jobs take more GPU-hours.
    """
    name = planned.sweep.name
    refused = [one for one in planned.shapes if one.refusals]
    if refused:
        words = "; ".join(refused[0].refusals)
        raise SpecError(f"Point '{refused[0].example}' of sweep '{name}': {words}")
    most = planned.sweep.max_gpu_hours if max_gpu_hours is None else max_gpu_hours
    return check_budget(name, planned.submitted, most, planned.spent.gpu_hours)


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


def _least(sweep: Sweep, unbegun: Sequence[Estimate]) -> Total | None:
    """What these jobs take if the best of them comes first to every rung, and the others end.

    Jobs that have begun may end at once.
    """
    if sweep.search is None:
        return None
    share = sweep.search.grace / sweep.epochs
    cheapest = min(unbegun, key=lambda one: one.device_hours or 0.0, default=None)
    ended = (
        one if one is cheapest else replace(one, hours=one.hours and share * one.hours)
        for one in unbegun
    )
    return Total.of(ended)


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


def _new(point: Point) -> JobStatus:
    """That of a job where there is no root yet."""
    if point.parent is None:
        return JobStatus(point.id, State.PLANNED, due=True)
    words = f"waits for parent {point.parent.name} ({State.PLANNED})"
    return JobStatus(point.id, State.PLANNED, reason=words, waits=True, in_vain=True)


def _shapes(
    sweep: Sweep, terms: Terms, root_path: Path, statuses: Mapping[str, JobStatus]
) -> list[Shape]:
    groups: dict[str, list[Due]] = {}
    for point in sweep.points:
        if submits(statuses[point.id], submitted_states(sweep)):
            one = _as_launched(Due.of(point), statuses[point.id], terms.cluster)
            groups.setdefault(one.shape, []).append(one)
    executor = executor_named(sweep.executor, Root(root_path))
    drafts = [draft(group, terms, code_hash()) for group in groups.values()]
    return [
        Shape(
            jobs=len(one.jobs),
            example=one.names[0],
            script=executor.render(one),
            refusals=executor.check(one.part(0, 1)),
        )
        for one in drafts
    ]


def _as_launched(due: Due, status: JobStatus, cluster: ClusterProfile | None) -> Due:
    """With what its last starts lacked, unless they would be forgotten."""
    return due if status.given_up else remedied(due, status, cluster)
