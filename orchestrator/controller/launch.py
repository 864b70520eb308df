"""The verb launch: everything checked first, then exactly what is due is submitted."""

import sys
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator.config import ClusterProfile, RaySite
from orchestrator.controller.budget import Launching, check_budget
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
from orchestrator.controller.notify import told_of_missing_program
from orchestrator.controller.parents import (
    check_parents,
    look,
    of_older_weights,
    told_of_vain,
)
from orchestrator.controller.secrecy import check_settings
from orchestrator.controller.snapshot import Checked, check_code, take_snapshot
from orchestrator.controller.submit import Due, Handed, Submitter, Terms
from orchestrator.controller.survey import Survey, settle, store_ends
from orchestrator.controller.trial import hold_back
from orchestrator.errors import SpecError
from orchestrator.executors import CLUSTERED
from orchestrator.executors.slurm_tender import PLACES, Tender
from orchestrator.jobs.datasets import Manifest
from orchestrator.jobs.layout import Root
from orchestrator.jobs.lease import leased
from orchestrator.jobs.packages import described
from orchestrator.jobs.records import replace_job, write_job
from orchestrator.jobs.state import JobStatus, State
from orchestrator.jobs.store import (
    REVISION_SCHEMA,
    adopt,
    bind_dataset,
    compare_dataset,
    create_root,
    root_there,
    write_revision,
)
from orchestrator.sweep.expand import Sweep, placed

SUBMITTED_BY_LAUNCH = (State.PLANNED, State.PREEMPTED, State.FAILED, State.CANCELLED)
"""Of any sweep; one that searches nothing also takes up what another's search stopped."""
CONTROLLER_S = 60
"""Between two rounds of a controller, unless somebody says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a launch may be asked for beside the sweep."""

    controller: bool = False
    """Whether a small job on the cluster tends the sweep. It comes first: where nobody knows how
    much the cluster takes, the jobs would leave it no place."""
    every_s: float | None = None
    """Between two of its rounds; null: ``CONTROLLER_S``."""
    fresh: Collection[str] = ()
    """Ids of jobs that are to begin afresh."""
    canary: bool = False
    """Whether one job of each shape goes first."""
    deterministic: bool = False
    """Whether all train with ``placement.deterministic``."""
    max_gpu_hours: float | None = None
    """In place of the sweep's own ``max_gpu_hours``."""


AS_USUAL = Wishes()


def launch(  # noqa: PLR0913 - what the command line gives
    sweep: Sweep,
    *,
    root_path: Path,
    data_root: Path,
    cluster: ClusterProfile | None = None,
    ray: RaySite | None = None,
    wishes: Wishes = AS_USUAL,
) -> Launched:
    """Submit the jobs of ``sweep`` that are neither done nor under way.

    Jobs that are being cancelled are waited for. Nothing is created before the sweep, its data and
    its placements have been checked.

    Raises:
        SpecError: the sweep does not fit its data, its place or its budget, or something holds a
            secret.
        DataError: a dataset is missing or damaged.
        RootError, BusyError: the root cannot be written, or somebody else is writing it.
        Refused: the place did not take it.
        Unclear: the place did not say how much it takes; nothing was submitted.
    """
    if wishes.max_gpu_hours is not None:
        sweep = replace(sweep, max_gpu_hours=wishes.max_gpu_hours)
    if wishes.deterministic:
        sweep = placed(sweep, {"deterministic": True})
    terms = Terms(sweep.executor, sweep.max_parallel, data_root, cluster, ray)
    manifests, code, said = _check(sweep, terms, root_path, wishes)
    root = create_root(root_path)
    await_cancelled(root, [point.id for point in sweep.points])
    with leased(root.lease, f"launch {sweep.name}") as lease:
        said += [w for m in manifests.values() if (w := bind_dataset(root, m))]
        settle(root)
        found = _decide(root, sweep, wishes.fresh)
        states = submitted_states(sweep)
        due = [point for point in sweep.points if submits(found.statuses[point.id], states)]
        dropped = dropped_running(root, sweep)
        _hold_against_records(root, sweep, found)
        snapshot = take_snapshot(root, sweep.packages, code)
        behind = hold_back(root, due) if wishes.canary else []
        revision = write_revision(root, sweep.name, describe(sweep, terms, snapshot))
        adopt(root, sweep.name)
        first = [Due.of(point) for point in due if point.id not in set(behind)]
        handed, tender, reserved = Handed((), ()), None, 0
        if wishes.controller:
            every_s = int(wishes.every_s or CONTROLLER_S)
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
        waiting=sum(status.waits for status in found.statuses.values()),
        left_alone=Counter(s.state for s in found.statuses.values() if s.state not in states),
        older_code=len(of_older_code(sweep, found)),
        older_weights=len(of_older_weights(root, sweep.points, found)),
        other_placement=of_other_placement(sweep, found),
        dropped_running=dropped,
        warnings=[
            *(*said, *handed.unclear),
            *(*told_of_damaged(sweep, found), *told_of_vain(sweep.points, found)),
        ],
    )


def _check(
    sweep: Sweep, terms: Terms, root_path: Path, wishes: Wishes
) -> tuple[Mapping[str, Manifest], Checked, list[str]]:
    """All that is checked before anything is created.

    Returns the datasets' manifests, the code, and what is to be said of command and budget.
    """
    if wishes.controller and sweep.executor not in CLUSTERED:
        raise SpecError(f"--controller needs a cluster; the executor is {sweep.executor}")
    manifests, _ = check_data(sweep, terms.data_root)
    if wishes.controller:
        _check_room(sweep, terms.cluster)
    check_placements(sweep, terms, root_path)
    check_settings(sweep, terms.cluster)
    check_parents(sweep, root_path, wishes.fresh)
    code = check_code(Root(root_path), sweep.packages)
    if root := root_there(root_path):
        for manifest in manifests.values():
            compare_dataset(root, manifest)
    said = told_of_missing_program(sweep, terms.cluster)
    if sweep.max_gpu_hours is None:
        return manifests, code, said
    launching = Launching(
        sweep=sweep,
        terms=terms,
        root_path=root_path,
        states=submitted_states(sweep),
        fresh=wishes.fresh,
    )
    costs, before = launching.costs(manifests)
    return manifests, code, [*said, *check_budget(sweep.name, costs, sweep.max_gpu_hours, before)]


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
        if (
            submits(found.statuses[point.id], submitted_states(sweep))
            or not root.job(point.id).record.is_file()
        ):
            write_job(root, point.id, point.config)


def _decide(root: Root, sweep: Sweep, fresh: Collection[str]) -> Survey:
    """Lift what keeps the sweep's jobs, renew what was given up, discard what is to begin afresh.

    A launch is a person's word that they are to run. Returns how things are then.
    """
    ids = [point.id for point in sweep.points]
    found = look(root, sweep.points)
    store_ends(root, found)
    held = [job for job in ids if is_held(found, job)]
    due = [job for job in ids if submits(found.statuses[job], submitted_states(sweep))]
    freed = free(root, found, {*held, *due}, "launched", whole=sweep.search is None)
    anew = {p.id: p.config for p in sweep.points if p.id in fresh and can_begin_afresh(found, p.id)}
    if anew:
        for job, config in anew.items():  # what is there may be damaged
            replace_job(root, job, config)
        begin_afresh(root, found, anew)
    return look(root, sweep.points) if freed or anew else found


def submitted_states(sweep: Sweep) -> tuple[State, ...]:
    """The states of the jobs that a launch of the sweep submits."""
    return SUBMITTED_BY_LAUNCH if sweep.search else (*SUBMITTED_BY_LAUNCH, State.STOPPED)


def submits(status: JobStatus, states: Collection[State]) -> bool:
    """Whether a launch that submits jobs in these states would submit this one."""
    return status.state in states and not status.waits


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


def _told_of(sweep: Sweep) -> dict[str, Any]:
    """Those of a sweep's keys of which a revision says nothing if nobody wrote them."""
    found: dict[str, Any] = {}
    if sweep.max_gpu_hours is not None:
        found["max_gpu_hours"] = sweep.max_gpu_hours
    if sweep.notify is not None:
        command = list(sweep.notify.words)
        found["notify"] = {"command": command, "folder": str(sweep.notify.folder)}
    if sweep.search is not None:
        found["search"] = {"asha": sweep.search.to_plain(), "rungs": list(sweep.rungs)}
    return found


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
        **_told_of(sweep),
        "data_root": str(terms.data_root),
        "cluster": terms.cluster.to_plain() if terms.cluster else None,
        **({"ray": terms.ray.to_plain()} if terms.ray else {}),
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
                **({"parent": point.parent.name} if point.parent else {}),
                **({"expect": point.expect} if point.expect else {}),
            }
            for point in sweep.points
        ],
    }
