"""The verb launch: everything checked first, then exactly what is due is submitted."""

import sys
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.config import ClusterProfile
from orchestrator.controller.cancel import await_cancelled, being_cancelled, is_held
from orchestrator.controller.checks import check_data, check_placements
from orchestrator.controller.decide import begin_afresh, can_begin_afresh, free
from orchestrator.controller.launched import (
    Launched,
    dropped_running,
    is_damaged,
    of_older_code,
    of_other_placement,
    told_of_damaged,
)
from orchestrator.controller.secrecy import check_settings
from orchestrator.controller.snapshot import Checked, check_code, take_snapshot
from orchestrator.controller.submit import Due, Handed, Submitter, Terms
from orchestrator.controller.survey import Survey, settle, store_ends, survey
from orchestrator.controller.trial import hold_back
from orchestrator.errors import SpecError
from orchestrator.executors.slurm_tender import PLACES, Tender
from orchestrator.jobs.datasets import Manifest
from orchestrator.jobs.layout import Root
from orchestrator.jobs.lease import leased
from orchestrator.jobs.packages import described
from orchestrator.jobs.records import replace_job, write_job
from orchestrator.jobs.state import State
from orchestrator.jobs.store import (
    REVISION_SCHEMA,
    adopt,
    bind_dataset,
    compare_dataset,
    create_root,
    open_root,
    write_revision,
)
from orchestrator.sweep.expand import Sweep

SUBMITTED_BY_LAUNCH = (State.PLANNED, State.PREEMPTED, State.FAILED, State.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a launch may be asked for beside the sweep."""

    controller_s: int | None = None
    """How often a small job on the cluster tends the sweep; null: none does. It comes first: where
    nobody knows how much the cluster takes, the jobs would leave it no place."""
    fresh: Collection[str] = ()
    """Ids of jobs that are to begin afresh."""
    canary: bool = False
    """Whether one job of each shape goes first."""


AS_USUAL = Wishes()


def launch(
    sweep: Sweep,
    *,
    root_path: Path,
    data_root: Path,
    cluster: ClusterProfile | None = None,
    wishes: Wishes = AS_USUAL,
) -> Launched:
    """Submit the jobs of ``sweep`` that are neither done nor under way.

    Jobs that are being cancelled are waited for. Nothing is created before the sweep, its data and
    its placements have been checked.

    Raises:
        SpecError: the sweep does not fit its data or its place, or something holds a secret.
        DataError: a dataset is missing or damaged.
        RootError, BusyError: the root cannot be written, or somebody else is writing it.
        Refused: the place did not take it.
        Unclear: the place did not say how much it takes; nothing was submitted.
    """
    terms = Terms(sweep.executor, sweep.max_parallel, data_root, cluster)
    manifests, code = _check(sweep, terms, root_path, wishes)
    root = create_root(root_path)
    await_cancelled(root, [point.id for point in sweep.points])
    with leased(root.lease, f"launch {sweep.name}") as lease:
        warnings = [w for m in manifests.values() if (w := bind_dataset(root, m))]
        settle(root)
        found = _decide(root, sweep, wishes.fresh)
        due = [point for point in sweep.points if _is_due(found, point.id)]
        dropped = dropped_running(root, sweep)
        _hold_against_records(root, sweep, found)
        snapshot = take_snapshot(root, sweep.packages, code)
        behind = hold_back(root, due) if wishes.canary else []
        revision = write_revision(root, sweep.name, describe(sweep, terms, snapshot))
        adopt(root, sweep.name)
        first = [Due.of(point) for point in due if point.id not in set(behind)]
        handed, tender, reserved = Handed((), ()), None, 0
        if (every_s := wishes.controller_s) is not None:
            tender, reserved = _start_controller(root, sweep.name, terms, snapshot, every_s)
        if first:
            handed = Submitter(root, lease, terms, snapshot, reserved).submit(first, found)
    taken = set(handed.jobs)
    return Launched(
        root=root,
        revision=revision,
        submitted=handed.jobs,
        later=tuple(one.id for one in first if one.id not in taken),
        behind=tuple(behind),
        why_later=handed.why,
        controller=tender,
        ending=len(being_cancelled(found)),
        left_alone=Counter(s.state for s in found.statuses.values() if not _submits(s.state)),
        older_code=len(of_older_code(sweep, found)),
        other_placement=of_other_placement(sweep, found),
        dropped_running=dropped,
        warnings=[*warnings, *handed.unclear, *told_of_damaged(sweep, found)],
    )


def _check(
    sweep: Sweep, terms: Terms, root_path: Path, wishes: Wishes
) -> tuple[Mapping[str, Manifest], Checked]:
    """All that is checked before anything is created; the datasets' manifests, and the code."""
    manifests = check_data(sweep, terms.data_root)
    if wishes.controller_s is not None:
        _check_room(sweep, terms.cluster)
    check_placements(sweep, terms, root_path)
    check_settings(sweep, terms.cluster)
    code = check_code(Root(root_path), sweep.packages)
    if (root_path / "root.json").is_file():
        for manifest in manifests.values():
            compare_dataset(open_root(root_path), manifest)
    return manifests, code


def _hold_against_records(root: Root, sweep: Sweep, found: Survey) -> None:
    """Compare the records of jobs that have started before, or write those that are lost.

    Of a job that is not whole, and of one that runs or waits, only a person may do so.

    Raises:
        OrchestrateError: a record is of another configuration.
    """
    folders = root.job_folders()
    for point in sweep.points:
        if point.id not in folders or is_damaged(found, point.id):
            continue
        if _is_due(found, point.id) or not root.job(point.id).record.is_file():
            write_job(root, point.id, point.config)


def _decide(root: Root, sweep: Sweep, fresh: Collection[str]) -> Survey:
    """Lift what keeps the sweep's jobs, renew what was given up, discard what is to begin afresh.

    A launch is a person's word that they are to run. Returns how things are then.
    """
    ids = [point.id for point in sweep.points]
    found = survey(root, ids)
    store_ends(root, found)
    held = [job for job in ids if is_held(found, job)]
    freed = free(root, found, {*held, *(job for job in ids if _is_due(found, job))}, "launched")
    anew = {p.id: p.config for p in sweep.points if p.id in fresh and can_begin_afresh(found, p.id)}
    if anew:
        for job, config in anew.items():  # what is there may be damaged
            replace_job(root, job, config)
        begin_afresh(root, found, anew)
    return survey(root, ids) if freed or anew else found


def _is_due(found: Survey, job: str) -> bool:
    return _submits(found.statuses[job].state)


def _submits(state: State) -> bool:
    return state in SUBMITTED_BY_LAUNCH


def _check_room(sweep: Sweep, cluster: ClusterProfile | None) -> None:
    if cluster and cluster.max_submit is not None and cluster.max_submit <= PLACES:
        raise SpecError(
            f"The profile of {cluster.name} has max_submit {cluster.max_submit}, but a controller "
            f"takes {PLACES} of these places, so no job could follow; launch without "
            f"--controller and tend the sweep with: orchestrate watch {sweep.name}"
        )


def _start_controller(
    root: Root, sweep: str, terms: Terms, snapshot: str, every_s: int
) -> tuple[str, int]:
    """A sentence on it, and how many places it still needs; needs the lease, or there may be two.

    Raises:
        Refused: the cluster did not take it.
    """
    assert terms.cluster is not None, "a launch to a cluster has checked its profile"
    return Tender(
        root=root,
        sweep=sweep,
        profile=terms.cluster,
        python=terms.cluster.python or sys.executable,
        snapshot=snapshot,
        every_s=every_s,
    ).start()


def describe(sweep: Sweep, terms: Terms, snapshot: str) -> dict[str, Any]:
    """The content of a sweep's revision."""
    shapes = {Due.of(point).shape: Due.of(point) for point in sweep.points}
    numbers = {shape: number for number, shape in enumerate(shapes)}
    return {
        "schema": REVISION_SCHEMA,
        "name": sweep.name,
        "study": sweep.study,
        "question": sweep.question,
        "sources": [{"path": str(s.path), "text": s.text} for s in sweep.sources],
        "overrides": list(sweep.overrides),
        "executor": terms.executor,
        "max_parallel": terms.max_parallel,
        "max_failures": sweep.max_failures,
        "data_root": str(terms.data_root),
        "cluster": terms.cluster.to_plain() if terms.cluster else None,
        **described(sweep.packages),
        "snapshot": snapshot,
        "shapes": [
            {"placement": one.placement.to_plain(), "resources": one.resources.to_plain()}
            for one in shapes.values()
        ],
        "jobs": [
            {
                "id": point.id,
                "name": point.name,
                "axes": dict(point.axes),
                "shape": numbers[Due.of(point).shape],
                "form": point.form,
            }
            for point in sweep.points
        ],
    }
