"""How many GPUs the jobs of a run root ask for on a cluster, whichever sweeps they are of."""

from collections import Counter

from orchestrator.controller.survey import Survey, store_ends, survey
from orchestrator.executors.slurm_limits import gpus_of_allocation
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
    ended = {name for name, sighting in found.seen.items() if sighting.end is not None}
    left = Counter(
        member.token
        for job in found.statuses
        if job not in found.settled
        for member in found.facts[job].members
        if not (member.refused or member.end or (member.token, member.index) in ended)
    )
    # Where jobs share allocations, the last of each keeps all of it.
    return sum(
        gpus_of_allocation(one) * min(left[one.token], one.allocations)
        for one in found.submissions
        if one.cluster is not None and one.cluster.name == cluster
    )
