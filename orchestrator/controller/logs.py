"""Where a job's output stands."""

from pathlib import Path

from orchestrator.controller.select import Named
from orchestrator.controller.survey import Survey, survey
from orchestrator.errors import OrchestrateError
from orchestrator.jobs.facts import Member
from orchestrator.jobs.layout import Root
from orchestrator.jobs.state import UNDER_WAY


def find_log(root: Root, job: Named, *, attempt: int | None, rank: int) -> Path:
    """The log of a rank of one attempt, or of the start that never claimed the job.

    Raises:
        OrchestrateError: there is none yet; the job's state and the next step are named.
    """
    found = survey(root, [job.id])
    facts, status = found.facts[job.id], found.statuses[job.id]
    numbers = [one.number for one in facts.attempts]
    if attempt is not None and attempt not in numbers:
        there = ", ".join(map(str, numbers)) or "none"
        raise OrchestrateError(f"Job {job.name} has no attempt {attempt} (there: {there}).")
    candidates = []
    if attempt is None and (member := _unclaimed_start(found, job.id)):
        candidates.append(root.submission(member.token).member_log(member.index, rank))
        candidates.append(root.submission(member.token).batch_log(member.index))
        candidates += root.submission(member.token).allocation_logs()
    if numbers:
        candidates.append(root.job(job.id).attempt(attempt or numbers[-1]).log(rank))
    for path in candidates:
        if path.is_file():
            return path
    raise OrchestrateError(
        f"Job {job.name} ({job.id[:8]}) has no log of rank {rank} yet: it is {status.state}"
        f"{f' ({status.reason})' if status.reason else ''}. Try: orchestrate status {job.id[:8]}"
    )


def _unclaimed_start(found: Survey, job: str) -> Member | None:
    """The newest member, if it was started and ended without claiming the job."""
    facts, newest = found.facts[job], found.facts[job].newest
    if newest is None:
        return None
    name = (newest.token, newest.index)
    if name in {(one.start.token, one.start.index) for one in facts.attempts}:
        return None
    sighting = found.seen.get(name)
    end = newest.end or (sighting.end if sighting else None)
    return newest if end and end.started else None


def is_over(root: Root, job: Named) -> bool:
    """Whether a job neither runs nor waits."""
    state = survey(root, [job.id]).statuses[job.id].state
    return state not in UNDER_WAY
