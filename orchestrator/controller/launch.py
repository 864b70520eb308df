"""The verb launch: everything checked first, then exactly what is due is submitted."""

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from orchestrator.config import ClusterProfile
from orchestrator.controller.cancel import await_cancelled, being_cancelled
from orchestrator.controller.checks import check_data, check_placements
from orchestrator.controller.snapshot import take_snapshot
from orchestrator.controller.submit import Due, Handed, Submitter, Terms
from orchestrator.controller.survey import Survey, settle, store_ends, survey
from orchestrator.errors import SpecError
from orchestrator.executors.slurm_tender import Tender
from orchestrator.jobs.code import code_hash
from orchestrator.jobs.layout import Root
from orchestrator.jobs.lease import leased
from orchestrator.jobs.orders import Order, write_order
from orchestrator.jobs.state import State
from orchestrator.jobs.store import (
    REVISION_SCHEMA,
    bind_dataset,
    compare_dataset,
    create_root,
    launched_revision,
    newest_revision,
    open_root,
    write_jobs,
    write_revision,
)
from orchestrator.jobs.summary import codes_of_result
from orchestrator.sweep.expand import Sweep

SUBMITTED_BY_LAUNCH = (State.PLANNED, State.PREEMPTED, State.FAILED, State.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """What a launch did and what it left alone."""

    root: Root
    revision: int
    submitted: tuple[str, ...]
    later: tuple[str, ...]
    """Due too, but more than the place takes now: a watch submits them as room comes."""
    ending: int
    """Cancelled before, and still at it: they cannot be submitted yet."""
    left_alone: Mapping[State, int]
    older_code: int
    """Of those that are DONE: by other code than today's."""
    other_placement: int
    """Of those that wait: submitted with another placement or other resources than now."""
    dropped_running: Mapping[str, str]
    """Names by id of points that the sweep no longer has, and that run or wait."""
    warnings: list[str] = field(default_factory=list)


def launch(
    sweep: Sweep,
    *,
    root_path: Path,
    data_root: Path,
    cluster: ClusterProfile | None = None,
    reserved: int = 0,
) -> Launched:
    """Submit the jobs of ``sweep`` that are neither done nor under way.

    Of the places that a cluster has for this user ``reserved`` are left free, for a controller.
    Jobs that are being cancelled are waited for. Nothing is created before the sweep, its data and
    its placements have been checked.

    Raises:
        SpecError: the sweep does not fit its data or its place.
        DataError: a dataset is missing or damaged.
        RootError, BusyError: the root cannot be written, or somebody else is writing it.
        Refused: the place did not take it.
        Unclear: the place did not say how much it takes; nothing was submitted.
    """
    manifests = check_data(sweep, data_root)
    terms = Terms(sweep.executor, sweep.max_parallel, data_root, cluster)
    _check_room(sweep, cluster, reserved)
    check_placements(sweep, terms, root_path)
    if (root_path / "root.json").is_file():
        for manifest in manifests.values():
            compare_dataset(open_root(root_path), manifest)
    root = create_root(root_path)
    await_cancelled(root, [point.id for point in sweep.points])
    with leased(root.lease, f"launch {sweep.name}") as lease:
        warnings = [w for m in manifests.values() if (w := bind_dataset(root, m))]
        settle(root)
        found = survey(root, [point.id for point in sweep.points])
        store_ends(root, found)
        due = [
            Due(point.id, point.name, point.placement, point.resources)
            for point in sweep.points
            if found.statuses[point.id].state in SUBMITTED_BY_LAUNCH
        ]
        dropped = _dropped_running(root, sweep)
        unsettled = {
            point.id: point.config
            for point in sweep.points
            if point.id not in found.settled or not root.job(point.id).record.is_file()
        }
        write_jobs(root, unsettled)
        snapshot = take_snapshot(root)
        revision = write_revision(root, sweep.name, describe(sweep, terms, snapshot))
        _lift_cancels(root, found, due)
        handed = Handed((), ())
        if due:
            handed = Submitter(root, lease, terms, snapshot, reserved).submit(due, found)
            warnings += handed.unclear
    taken = set(handed.jobs)
    alone = Counter(found.statuses[p.id].state for p in sweep.points)
    for one in due:
        alone[found.statuses[one.id].state] -= 1
    return Launched(
        root=root,
        revision=revision,
        submitted=handed.jobs,
        later=tuple(one.id for one in due if one.id not in taken),
        ending=len(being_cancelled(found)),
        left_alone=+alone,
        older_code=_of_older_code(found),
        other_placement=_of_other_placement(sweep, found),
        dropped_running=dropped,
        warnings=warnings,
    )


def _check_room(sweep: Sweep, cluster: ClusterProfile | None, reserved: int) -> None:
    if cluster and cluster.max_submit is not None and cluster.max_submit <= reserved:
        raise SpecError(
            f"The profile of {cluster.name} has max_submit {cluster.max_submit}, but a controller "
            f"takes {reserved} of these places, so no job could follow; launch without "
            f"--controller and tend the sweep with: orchestrate watch {sweep.name}"
        )


def start_controller(root: Root, sweep: str, every_s: int) -> str:
    """Let a small job on the cluster tend a launched sweep; returns a sentence on it.

    Raises:
        Refused: the cluster did not take it.
        BusyError: somebody else is writing the root.
    """
    with leased(root.lease, f"launch {sweep}"):  # two at once would both find none, and start one
        revision = launched_revision(root, sweep)
        profile = Terms.of_revision(revision).cluster
        assert profile is not None, "a launch to a cluster has checked its profile"
        return Tender(
            root=root,
            sweep=sweep,
            profile=profile,
            python=profile.python or sys.executable,
            snapshot=revision["snapshot"],
            every_s=every_s,
        ).start()


def describe(sweep: Sweep, terms: Terms, snapshot: str) -> dict[str, Any]:
    """The content of a sweep's revision."""
    return {
        "schema": REVISION_SCHEMA,
        "name": sweep.name,
        "study": sweep.study,
        "question": sweep.question,
        "sources": [{"path": str(s.path), "text": s.text} for s in sweep.sources],
        "overrides": list(sweep.overrides),
        "executor": terms.executor,
        "max_parallel": terms.max_parallel,
        "data_root": str(terms.data_root),
        "cluster": terms.cluster.to_plain() if terms.cluster else None,
        "snapshot": snapshot,
        "jobs": [
            {
                "id": point.id,
                "name": point.name,
                "axes": dict(point.axes),
                "placement": point.placement.to_plain(),
                "resources": point.resources.to_plain(),
            }
            for point in sweep.points
        ],
    }


def _of_older_code(found: Survey) -> int:
    today = code_hash()
    settled = (known.summary.codes for known in found.settled.values())
    left = (codes_of_result(found.facts[job]) for job in found.facts if job not in found.settled)
    return sum(not {*codes} <= {today} for codes in chain(settled, left))


def _of_other_placement(sweep: Sweep, found: Survey) -> int:
    shapes = {s.token: (s.placement, s.resources) for s in found.submissions}
    return sum(
        found.statuses[point.id].state is State.QUEUED
        and shapes[found.facts[point.id].members[-1].token] != (point.placement, point.resources)
        for point in sweep.points
    )


def _dropped_running(root: Root, sweep: Sweep) -> dict[str, str]:
    """The points of the last revision that this one lacks and that run or wait."""
    last = newest_revision(root, sweep.name)
    if last is None:
        return {}
    ids = {point.id for point in sweep.points}
    names = {job["id"]: job["name"] for job in last[1]["jobs"] if job["id"] not in ids}
    if not names:
        return {}
    statuses = survey(root, list(names)).statuses
    busy = (State.RUNNING, State.QUEUED)
    return {job: name for job, name in names.items() if statuses[job].state in busy}


def _lift_cancels(root: Root, found: Survey, due: list[Due]) -> None:
    lifted = {one.id: found.standing[one.id] for one in due if one.id in found.standing}
    if lifted:
        orders = sorted({order.id for orders in lifted.values() for order in orders})
        write_order(root, Order(what="lift", jobs=sorted(lifted), lifts=orders, why="launched"))
