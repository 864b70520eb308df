"""The verb retry: jobs that failed or were given up are tried again, with new budgets."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.controller.decide import free
from orchestrator.controller.launch import SUBMITTED_BY_LAUNCH
from orchestrator.controller.select import Named
from orchestrator.controller.snapshot import take_snapshot
from orchestrator.controller.submit import Handed, Submitter, Terms, due_of_revision
from orchestrator.controller.survey import Survey, settle, store_ends, survey
from orchestrator.controller.watch import sweeps_to_tend
from orchestrator.documents.jobs import RetryDocument
from orchestrator.jobs.layout import Root
from orchestrator.jobs.lease import leased
from orchestrator.jobs.packages import packages_of
from orchestrator.jobs.state import State
from orchestrator.jobs.store import launched_revision


@dataclass(frozen=True, slots=True)
class Retried:
    """``later``: due, but more than the place takes now. ``orphans``: in no sweep any more."""

    submitted: tuple[str, ...]
    later: tuple[str, ...]
    orphans: tuple[str, ...]
    warnings: tuple[str, ...]


def as_json(retried: Retried) -> RetryDocument:
    """The documented form of ``retry --json``."""
    return {
        "schema": 1,
        "submitted": retried.submitted,
        "later": retried.later,
        "orphans": retried.orphans,
        "warnings": retried.warnings,
    }


def to_retry(found: Survey, *, stopped: bool = False) -> list[str]:
    """The jobs of a look that failed, or that a watch gave up; none cancelled or only held.

    With ``stopped`` also those that a search stopped.
    """
    states = (State.FAILED, State.STOPPED) if stopped else (State.FAILED,)
    return [
        job
        for job, status in found.statuses.items()
        if status.state in states or (status.given_up and job not in found.standing.holds)
    ]


def retry(
    root: Root, jobs: Sequence[Named], asked: str | None = None, *, stopped: bool = False
) -> Retried:
    """Submit those of the jobs that failed or were given up.

    With ``stopped`` also those that a search stopped: they go to their end, judged no more.

    Each goes as the sweep of ``asked`` has it, SWEEP or SWEEP/POINT, if that does, else as the
    first that was launched here and does.
    What they were given up for is forgotten.

    Raises:
        SpecError: a package of the user's own is no longer in its folder.
        Refused: a place did not take them.
        Unclear: a place did not say how much it takes; nothing was submitted there.
        BusyError: somebody else is writing the root.
    """
    sweep = asked and asked.partition("/")[0]
    left = [job.id for job in jobs]
    handed: list[Handed] = []
    due: list[str] = []
    with leased(root.lease, "retry") as lease:
        settle(root)
        for name in sorted(sweeps_to_tend(root, ()), key=lambda name: name != sweep):
            revision = launched_revision(root, name)
            listed = {one.id: one for one in due_of_revision(revision)}
            mine = [job for job in left if job in listed]
            left = [job for job in left if job not in listed]
            again = _freed(root, mine, stopped=stopped)
            if again:
                code = take_snapshot(root, packages_of(revision))
                submitter = Submitter(root, lease, Terms.of_revision(revision), code)
                handed.append(submitter.submit([listed[job] for job in again], survey(root, mine)))
                due += again
    submitted = tuple(job for one in handed for job in one.jobs)
    return Retried(
        submitted,
        later=tuple(job for job in due if job not in {*submitted}),
        orphans=tuple(left),
        warnings=tuple(words for one in handed for words in one.unclear),
    )


def _freed(root: Root, jobs: Sequence[str], *, stopped: bool) -> list[str]:
    """Those of the jobs that are to be tried again, once nothing keeps them."""
    found = survey(root, jobs)
    store_ends(root, found)
    again = to_retry(found, stopped=stopped)
    if again:
        free(root, found, again, "retried", whole=stopped)
        states = survey(root, again).statuses
        again = [job for job in again if states[job].state in SUBMITTED_BY_LAUNCH]
    return again
