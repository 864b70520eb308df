"""The verb retry: jobs that failed or were given up are tried again, with new budgets."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.controller.decide import free
from orchestrator.controller.select import Named
from orchestrator.controller.snapshot import take_snapshot
from orchestrator.controller.submit import Handed, Submitter, Terms, due_of_revision
from orchestrator.controller.survey import Survey, settle, store_ends, survey
from orchestrator.jobs.layout import Root
from orchestrator.jobs.lease import leased
from orchestrator.jobs.state import State
from orchestrator.jobs.store import launched_revision, sweep_names


@dataclass(frozen=True, slots=True)
class Retried:
    """``later``: due, but more than the place takes now. ``orphans``: in no sweep any more."""

    submitted: tuple[str, ...]
    later: tuple[str, ...]
    orphans: tuple[str, ...]
    warnings: tuple[str, ...]


def to_retry(found: Survey) -> list[str]:
    """The jobs of a look that failed, or that a watch would leave to people; none cancelled."""
    return [
        job
        for job, status in found.statuses.items()
        if status.state is State.FAILED or status.given_up
    ]


def retry(root: Root, jobs: Sequence[Named]) -> Retried:
    """Submit those of the jobs that failed or were given up, each as its newest sweep has it.

    They run today's code. What they were given up for is forgotten.

    Raises:
        Refused: a place did not take them.
        Unclear: a place did not say how much it takes; nothing was submitted there.
        BusyError: somebody else is writing the root.
    """
    left = [job.id for job in jobs]
    submitted: list[str] = []
    due: list[str] = []
    warnings: list[str] = []
    with leased(root.lease, "retry") as lease:
        settle(root)
        for name in sweep_names(root):
            revision = launched_revision(root, name)
            listed = {one.id: one for one in due_of_revision(revision)}
            mine = [job for job in left if job in listed]
            if not mine:
                continue
            left = [job for job in left if job not in listed]
            found = survey(root, mine)
            store_ends(root, found)
            again = to_retry(found)
            if not again:
                continue
            free(root, found, again, "retried")
            found = survey(root, mine)
            submitter = Submitter(root, lease, Terms.of_revision(revision), take_snapshot(root))
            handed: Handed = submitter.submit([listed[job] for job in again], found)
            submitted += handed.jobs
            warnings += handed.unclear
            due += again
    later = tuple(job for job in due if job not in set(submitted))
    return Retried(tuple(submitted), later, tuple(left), tuple(warnings))
