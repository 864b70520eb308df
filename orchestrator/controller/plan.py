"""The verb plan: what a launch would do, and what it needs; nothing is written."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator.config import ClusterProfile, RaySite, RunConfig
from orchestrator.controller.budget import check_budget
from orchestrator.controller.checks import check_data, check_profile
from orchestrator.controller.detect import promise
from orchestrator.controller.hours import (
    Estimate,
    Total,
    estimates,
    jobs_at_once,
    shares_left,
)
from orchestrator.controller.launch import submits, submitted_states
from orchestrator.controller.machine import existing
from orchestrator.controller.parents import check_parents, look
from orchestrator.controller.planned import Plan, Shape
from orchestrator.controller.secrecy import check_settings
from orchestrator.controller.spent import spent
from orchestrator.controller.submit import Due, Terms, draft, remedied
from orchestrator.errors import SpecError
from orchestrator.executors import executor_named
from orchestrator.jobs.code import code_hash
from orchestrator.jobs.layout import Root
from orchestrator.jobs.spent import Spent
from orchestrator.jobs.state import UNDER_WAY, JobStatus, State
from orchestrator.jobs.store import root_there
from orchestrator.sweep.cost import decoded_bytes, disk_of, training_flops
from orchestrator.sweep.expand import Point, Sweep


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
