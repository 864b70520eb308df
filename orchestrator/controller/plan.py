"""The verb plan: what a launch would do, and what disk it needs; nothing is written."""

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.config import ClusterProfile
from orchestrator.controller.checks import check_data, check_placements
from orchestrator.controller.launch import SUBMITTED_BY_LAUNCH
from orchestrator.controller.secrecy import check_settings
from orchestrator.controller.submit import Due, Terms, draft, remedied
from orchestrator.controller.survey import survey
from orchestrator.executors import executor_named
from orchestrator.jobs.code import code_hash
from orchestrator.jobs.layout import Root
from orchestrator.jobs.state import UNDER_WAY, JobStatus, State
from orchestrator.jobs.store import open_root
from orchestrator.sweep.cost import disk_of
from orchestrator.sweep.expand import Sweep

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Jobs that would be submitted alike: how many, one of them, and the script they would get."""

    jobs: int
    example: str
    script: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a launch would do. Sizes in bytes."""

    statuses: Mapping[str, JobStatus]
    shapes: Sequence[Shape]
    disk_peak: int
    """What the checkpoints of jobs that are to come, or under way, take together at most."""
    disk_after_gc: int
    """What is left of that when all are done and a gc was made."""
    disk_free: int
    """Where the run root is, or would be."""

    @property
    def counts(self) -> Counter[State]:
        """Jobs by state."""
        return Counter(status.state for status in self.statuses.values())

    @property
    def due(self) -> int:
        """Jobs that a launch would submit."""
        return sum(shape.jobs for shape in self.shapes)


def plan(
    sweep: Sweep, *, root_path: Path, data_root: Path, cluster: ClusterProfile | None = None
) -> Plan:
    """Check the sweep as a launch does, and tell what it would do.

    Raises:
        SpecError: the sweep does not fit its data or its place, or it holds a secret.
        DataError: a dataset is missing or damaged.
        RootError: the root is damaged, or of a newer version.
    """
    check_data(sweep, data_root)
    terms = Terms(sweep.executor, sweep.max_parallel, data_root, cluster)
    check_placements(sweep, terms, root_path)
    check_settings(sweep, cluster)
    statuses = _statuses(sweep, root_path)
    coming = [p for p in sweep.points if statuses[p.id].state in (*SUBMITTED_BY_LAUNCH, *UNDER_WAY)]
    disk = [disk_of(point.config, point.placement) for point in coming]
    return Plan(
        statuses=statuses,
        shapes=_shapes(sweep, terms, root_path, statuses),
        disk_peak=sum(one.peak for one in disk),
        disk_after_gc=sum(one.after_gc for one in disk),
        disk_free=shutil.disk_usage(_existing(root_path)).free,
    )


def as_json(sweep: Sweep, planned: Plan) -> dict[str, Any]:
    """The documented form of ``plan --json``."""
    jobs = [
        {
            "id": point.id,
            "name": point.name,
            "config": point.config.to_plain(),
            "state": planned.statuses[point.id].state.value,
        }
        for point in sweep.points
    ]
    disk = {"peak": planned.disk_peak, "after_gc": planned.disk_after_gc, "free": planned.disk_free}
    return {
        "schema": SCHEMA,
        "sweep": sweep.name,
        "counts": {state.value: count for state, count in planned.counts.items()},
        "jobs": jobs,
        "disk": disk,
    }


def _statuses(sweep: Sweep, root_path: Path) -> Mapping[str, JobStatus]:
    if not (root_path / "root.json").is_file():
        return {point.id: JobStatus(point.id, State.PLANNED, due=True) for point in sweep.points}
    return survey(open_root(root_path), [point.id for point in sweep.points]).statuses


def _shapes(
    sweep: Sweep, terms: Terms, root_path: Path, statuses: Mapping[str, JobStatus]
) -> list[Shape]:
    groups: dict[str, list[Due]] = {}
    for point in sweep.points:
        if statuses[point.id].state in SUBMITTED_BY_LAUNCH:
            one = _as_launched(Due.of(point), statuses[point.id], terms.cluster)
            groups.setdefault(one.shape, []).append(one)
    executor = executor_named(sweep.executor, Root(root_path))
    drafts = [draft(group, terms, code_hash()) for group in groups.values()]
    return [
        Shape(jobs=len(one.jobs), example=one.names[0], script=executor.render(one))
        for one in drafts
    ]


def _as_launched(due: Due, status: JobStatus, cluster: ClusterProfile | None) -> Due:
    """With what its last starts lacked, unless they would be forgotten."""
    return due if status.given_up else remedied(due, status, cluster)


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    return next(folder for folder in (path, *path.parents) if folder.exists())
