"""How much a cluster takes now: what its profile says, and what sbatch said when it was full.

A limit that nobody wrote down is found by asking: sbatch refuses an array that is too large, and a
smaller one fits. What was learnt so is kept in ``cache/`` for a while, so that the next rounds ask
for no more than fits; if the file is lost, it is learnt again.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass

from orchestrator.errors import Full, Refused, RootError, SubmitError, Unclear
from orchestrator.executors import slurm_queries as slurm
from orchestrator.executors.base import Admission
from orchestrator.executors.slurm_limits import (
    partition_name,
    within_budget,
    within_limits,
    within_rooms,
)
from orchestrator.executors.slurm_queries import TENDERS, NoAnswer
from orchestrator.executors.slurm_words import Limit, limit_in
from orchestrator.jobs.clock import file_time
from orchestrator.jobs.files import publish, read_record, to_json
from orchestrator.jobs.layout import Root
from orchestrator.jobs.submissions import Submission

SCHEMA = 1
NEVER = (
    "none of your jobs are in its queue: the job asks for more than your account or QOS allows, or "
    "these let you submit none; to see what they allow: sacctmgr show assoc user=$USER "
    "format=account,qos,maxsubmitjobs,maxtres,maxwall"
)


HELD_S = {Limit.OWN: 3600.0, Limit.SHARED: 300.0, Limit.BUSY: 300.0}
"""How long what was learnt of a limit is believed, before one job more than that is tried."""


@dataclass(frozen=True, slots=True)
class Known:
    """A limit as it was last met: this user had ``most`` in the queue, and no more fitted.

    ``until`` is file time; ``words`` are SLURM's.
    """

    most: int
    until: float
    words: str


def admit(
    root: Root, submissions: Sequence[Submission], *, under_way: int, reserved: int, gpus: int
) -> Admission:
    """What of these the cluster takes now, cut into arrays that it takes.

    Raises:
        Unclear: SLURM did not say how much it takes.
    """
    profile, most = submissions[0].cluster, submissions[0].max_parallel
    assert profile is not None
    known = read_known(root, profile.name)
    try:
        max_array = profile.max_array or slurm.cluster().max_array
        counts = known or profile.max_submit is not None
        mine = reserved + len(slurm.my_members()) if counts else 0
    except NoAnswer as error:
        raise Unclear(f"SLURM did not say how much it takes ({error}). Try again.") from None
    why, paid = [], list(submissions)
    if profile.max_gpus is not None:
        paid = within_budget(submissions, profile.max_gpus - gpus)
        if _members(paid) != _members(submissions):
            why.append(
                f"of the {profile.max_gpus} GPUs that this run root may ask {profile.name} for "
                f"(max_gpus in its profile) {gpus} are asked for"
            )
    fitting = within_rooms(paid, _rooms(root, known, profile.name, mine))
    before, after = _members(paid), _members(fitting)
    why += [full(known[name].words) for name in sorted(before) if before[name] > after[name]]
    now = within_limits(
        fitting,
        max_array=max_array,
        room=None if profile.max_submit is None else max(0, profile.max_submit - mine),
        parallel=None if most is None else most - under_way,
    )
    return Admission(tuple(now), "; ".join(dict.fromkeys(why)))


def judged(root: Root, submission: Submission, refusal: Refused) -> SubmitError:
    """What a no of sbatch means: that the cluster is full for now, or that it stays a no.

    A limit on this user's own jobs that keeps one of them out, while there are no others, stays so.
    """
    limit = limit_in(str(refusal))
    if limit is None:
        return refusal
    kind, words = limit
    try:
        names = slurm.my_members()
    except NoAnswer:
        return Full(full(words), slow=kind is Limit.BUSY)
    alone = all(name.startswith(TENDERS) for name in names)
    if kind is Limit.OWN and alone and submission.allocations == 1:
        return Refused(f"{refusal}, although {NEVER}")
    assert submission.cluster is not None
    most = max(0, len(names) + submission.allocations - 1)
    until = file_time(root.path) + HELD_S[kind]
    news = {partition_name(submission): Known(most, until, words)}
    cluster = submission.cluster.name
    _write_known(root, cluster, {**read_known(root, cluster), **news})
    return Full(full(words), slow=kind is Limit.BUSY)


def full(words: str) -> str:
    """That there is no room, with SLURM's words."""
    return f"the cluster takes no more jobs of yours now ({words})"


def read_known(root: Root, cluster: str) -> dict[str, Known]:
    """By partition, the limits that were met; none where the file is lost or not understood."""
    with suppress(FileNotFoundError, RootError, TypeError, AttributeError, KeyError):
        plain = read_record(root.room(cluster))
        if plain.get("schema") == SCHEMA:
            return {name: Known(**one) for name, one in plain["partitions"].items()}
    return {}


def _write_known(root: Root, cluster: str, known: Mapping[str, Known]) -> None:
    partitions = {name: asdict(one) for name, one in known.items()}
    publish(root.room(cluster), to_json({"schema": SCHEMA, "partitions": partitions}))


def _rooms(root: Root, known: Mapping[str, Known], cluster: str, mine: int) -> dict[str, int]:
    """Members that fit, by partition; what is believed no longer is forgotten, one more tried."""
    now = file_time(root.path)
    believed = {name: one for name, one in known.items() if now < one.until}
    if believed.keys() != known.keys():
        _write_known(root, cluster, believed)
    return {name: max(0, one.most - mine) + (name not in believed) for name, one in known.items()}


def _members(submissions: Sequence[Submission]) -> Counter[str]:
    """How many there are in each partition."""
    counts: Counter[str] = Counter()
    for one in submissions:
        counts[partition_name(one)] += len(one.jobs)
    return counts
