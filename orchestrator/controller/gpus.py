"""How many GPUs the jobs of a run root ask for on a cluster, whichever sweeps they are of."""

from orchestrator.controller.survey import Survey, store_ends, survey
from orchestrator.executors.slurm_limits import gpus_of_member
from orchestrator.jobs.layout import Root


def gpus_asked(root: Root, cluster: str, found: Survey) -> int:
    """Those of all members that wait or run there, or of which nobody knows; needs the lease.

    Jobs that are not in ``found`` are looked at as well: their own watch may be over, and would
    never store that they have ended.
    """
    assert found.memory is not None
    memory, looked_at = found.memory, found.statuses.keys()
    others = [j for j in memory.tokens if j not in looked_at and not memory.settled(j)]
    total = _asked(cluster, found)
    if others:
        rest = survey(root, others)
        store_ends(root, rest)
        total += _asked(cluster, rest)
    return total


def _asked(cluster: str, found: Survey) -> int:
    here = (s for s in found.submissions if s.cluster is not None and s.cluster.name == cluster)
    each = {submission.token: gpus_of_member(submission) for submission in here}
    ended = {name for name, sighting in found.seen.items() if sighting.end is not None}
    return sum(
        each.get(member.token, 0)
        for job in found.statuses
        if job not in found.settled
        for member in found.facts[job].members
        if not (member.refused or member.end or (member.token, member.index) in ended)
    )
