"""What the jobs of a look have cost so far."""

from orchestrator.controller.survey import Survey
from orchestrator.jobs.spent import Spent, spent_on


def spent(found: Survey) -> Spent:
    """Device hours of all starts of all jobs of this look.

    A job that several sweeps have counts in full, whichever of them launched it. Of jobs that are
    done for good no file is read.
    """
    return Spent.total(spent_by_job(found).values())


def spent_by_job(found: Survey) -> dict[str, Spent]:
    """The same, by job."""
    return {
        job: found.settled[job].summary.spent
        if job in found.settled
        else spent_on(found.facts[job])
        for job in found.statuses
    }
