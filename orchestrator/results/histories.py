"""What jobs measured over their steps: journals, folded over attempts that count."""

from collections.abc import Mapping, Sequence

from orchestrator.jobs.facts import read_history
from orchestrator.jobs.gather import attempts_on
from orchestrator.jobs.journal import History
from orchestrator.jobs.layout import Root


def read_histories(root: Root, jobs: Sequence[str]) -> Mapping[str, History]:
    """What each job measured over all attempts that count; nothing of one that never began."""
    attempts = attempts_on(root, jobs)
    discarded = {j: max((a.number for a in attempts[j] if a.discarded), default=0) for j in jobs}
    return {job: read_history(root.job(job), discarded[job]) for job in jobs}
