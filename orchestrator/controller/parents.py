"""Jobs that need what others leave: what they wait for, and whether that may still come."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

from orchestrator.controller.survey import Survey, survey
from orchestrator.errors import SpecError
from orchestrator.jobs.layout import Root
from orchestrator.jobs.parents import Parent
from orchestrator.jobs.state import MAY_BE_DUE, UNDER_WAY, JobStatus, State
from orchestrator.jobs.store import launched_ever, root_there
from orchestrator.jobs.summary import weights_read
from orchestrator.jobs.weights import are_older, kept_checkpoints, weights_at, weights_left
from orchestrator.sweep.expand import Sweep


class Job(Protocol):
    """A job, and what it waits for."""

    @property
    def id(self) -> str: ...
    @property
    def parent(self) -> Parent | None: ...


J = TypeVar("J", bound=Job)


def look(root: Root, jobs: Collection[J]) -> Survey:
    """Look at these jobs, and at the parents of those that might be submitted; writes nothing."""
    found = survey(root, [job.id for job in jobs])
    waiting = {
        job.id: job.parent
        for job in jobs
        if job.parent is not None and found.statuses[job.id].state in MAY_BE_DUE
    }
    if not waiting:
        return found
    beside = survey(root, list(dict.fromkeys(parent.id for parent in waiting.values())))
    news = {
        job: _waiting(found.statuses[job], parent, root, beside) for job, parent in waiting.items()
    }
    return replace(
        found,
        statuses={**found.statuses, **news},
        troubles=tuple(dict.fromkeys([*found.troubles, *beside.troubles])),
        beside=beside.submissions,
    )


def check_parents(sweep: Sweep, root_path: Path, fresh: Collection[str] = ()) -> None:
    """Make sure that parents which are done have left what is asked of them.

    Nothing is asked for a job that is done, unless it is one of ``fresh``, which begin afresh.

    Raises:
        SpecError: one has not, and never will.
    """
    root = root_there(root_path)
    children = [(point, point.parent) for point in sweep.points if point.parent is not None]
    if root is None or not children:
        return
    found = survey(root, list({one.id for both in children for one in both}))
    for point, parent in children:
        if found.statuses[point.id].state is State.DONE and point.id not in fresh:
            continue
        if fault := _lacking(parent, root, found):
            raise SpecError(
                f"Point '{point.name}' of sweep '{sweep.name}': {fault}. Set checkpoint to one "
                "that is kept; to have others, train it again with them in "
                "placement.keep_epochs (launch --fresh)."
            )


def of_older_weights(root: Root, jobs: Collection[J], found: Survey) -> set[str]:
    """Those of these jobs whose result is of weights that their parents have trained anew since."""
    read = {
        job.id: (sha256, job.parent)
        for job in jobs
        if job.parent is not None and (sha256 := _weights_read(found, job.id))
    }
    if not read:
        return set()
    beside = survey(root, list(dict.fromkeys(parent.id for _, parent in read.values())))
    return {job for job, result in read.items() if _is_older(*result, root, beside)}


def _weights_read(found: Survey, job: str) -> str:
    if job in found.settled:
        return found.settled[job].summary.weights
    return weights_read(found.facts[job])


def _is_older(read: str, parent: Parent, root: Root, beside: Survey) -> bool:
    if parent.id in beside.settled:
        left = beside.settled[parent.id].summary.left
    else:
        left = weights_left(root.job(parent.id), beside.facts[parent.id].attempts)
    return are_older(read, parent.checkpoint, left, beside.standing.discarded.get(parent.id, 0))


def told_of_vain(jobs: Sequence[J], found: Survey) -> list[str]:
    """A warning of the jobs whose parents nobody will bring to an end, if there are any."""
    vain = [found.statuses[job.id].reason for job in jobs if found.statuses[job.id].in_vain]
    if not vain:
        return []
    return [f"{len(vain)} of the jobs that wait will not be due by themselves: {vain[0]}"]


def told_of_untended(
    root: Root, sweeps: Sequence[str], jobs: Sequence[J], found: Survey
) -> list[str]:
    """How to tend the parents that jobs of these sweeps wait for, if that takes other sweeps.

    Parents that run, or wait at their places, need nobody.
    """
    waiting = [
        job.parent
        for job in jobs
        if (status := found.statuses[job.id]).waits and not status.in_vain and job.parent
    ]
    ids = {parent.id for parent in waiting} - found.statuses.keys()
    beside = survey(root, list(ids)).statuses if ids else {}
    calm = (*UNDER_WAY, State.DONE)
    left = {job for job, status in beside.items() if status.state not in calm}
    theirs = {parent.name.partition("/")[0] for parent in waiting if parent.id in left}
    others = [name for name in root.sweep_names() if name in theirs and name not in sweeps]
    if not others:
        return []
    command = " ".join(["orchestrate watch", *sweeps, *others])
    who = f"{', '.join(others)}, which this watch does not tend"
    return [f"jobs wait for parents of {who}; to tend all of them: {command}"]


def _waiting(status: JobStatus, parent: Parent, root: Root, beside: Survey) -> JobStatus:
    """The status of a job, as its parent lets it be."""
    theirs = beside.statuses[parent.id]
    if theirs.state is State.DONE:
        words = _lacking(parent, root, beside)
        if words is None:
            return status
    else:
        words = f"waits for parent {parent.name} ({theirs.state})"
    vain = _is_settled(theirs, root, beside)
    if vain and theirs.state is State.PLANNED:
        words = f"{words}, whose sweep was not launched here"
    if status.held or status.state is not State.PLANNED:
        words = f"{status.reason}; {words}" if status.reason else words
    return replace(status, due=False, due_at=None, reason=words, waits=True, in_vain=vain)


def _is_settled(theirs: JobStatus, root: Root, beside: Survey) -> bool:
    """Whether nothing more will become of a parent without a person."""
    if theirs.state is State.PLANNED and not beside.facts[theirs.id].members:
        return theirs.id not in launched_ever(root, root.sweep_names())
    over = (State.DONE, State.STOPPED, State.CANCELLED)
    return theirs.state in over or theirs.given_up


def _lacking(parent: Parent, root: Root, beside: Survey) -> str | None:
    """What a parent that is done did not leave, or None."""
    if beside.statuses[parent.id].state is not State.DONE:
        return None
    folder, attempts = root.job(parent.id), beside.facts[parent.id].attempts
    if weights_at(folder, attempts, parent.checkpoint) is not None:
        return None
    kept = ", ".join(map(str, kept_checkpoints(folder, attempts))) or "none"
    return (
        f"parent {parent.name} is done and has no weights of checkpoint {parent.checkpoint} "
        f"(kept: {kept})"
    )
