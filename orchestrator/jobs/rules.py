"""What is done about each kind of failure: one table, which a site may change, and its remedies."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from orchestrator.config import ClusterProfile, Resources
from orchestrator.config.allotment import partition_of
from orchestrator.config.resources import minutes
from orchestrator.config.rules import Action

AGAIN, NODE, MEMORY, TIME, STOP = Action
MORE_MEMORY, MORE_TIME = 1.5, 2
"""How much more is asked for than the last time."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What is done about a class of failures.

    ``retries``: so many further starts by ``watch``, those not counted that gained a checkpoint;
    ``back_off_s``: how long it waits before the first, and twice as long before each one after;
    ``action``: what it changes; ``meaning``: what happened.
    """

    retries: int
    back_off_s: float
    action: Action
    meaning: str


RULES = {
    "gpu_memory": Rule(0, 0, STOP, "the memory of its GPU is too small for it"),
    "memory": Rule(2, 0, MEMORY, "its node ended it for using more memory than it asked for"),
    "gpu": Rule(2, 60, NODE, "a GPU, or the way between GPUs, failed"),
    "neighbour": Rule(2, 60, AGAIN, "its ranks lost touch with each other"),
    "files": Rule(3, 60, AGAIN, "its file system did not answer as it should"),
    "disk": Rule(2, 600, AGAIN, "a file system is full, or a quota on it is used up"),
    "import": Rule(0, 0, STOP, "what it needs is not installed, or does not fit its machine"),
    "config": Rule(0, 0, STOP, "what it was asked to do makes no sense"),
    "data": Rule(0, 0, STOP, "its dataset is missing, damaged, or another one"),
    "weights": Rule(0, 0, STOP, "pretrained weights are not on its machine, nor to be had there"),
    "parent": Rule(3, 30, AGAIN, "its parent was not done when it began"),
    "exception": Rule(0, 0, STOP, "the worker raised an exception"),
    "killed": Rule(2, 30, AGAIN, "killed with signal 9: out of memory, or by hand"),
    "crashed": Rule(1, 10, AGAIN, "ended by a signal of its own making"),
    "exit": Rule(0, 0, STOP, "ended with an exit code and no word"),
    "vanished": Rule(2, 30, AGAIN, "its process is gone and left no record"),
    # What places do is no failure: so many starts in a row may end from one and the same step.
    "time": Rule(4, 0, TIME, "its time was over"),
    "node": Rule(4, 0, NODE, "its node or its pool was lost"),
    "preempted": Rule(4, 0, AGAIN, "its place was given to others, or taken back"),
}
ADVICE = {
    "gpu_memory": "set a smaller placement.micro_batch, or more placement.ranks",
    "memory": "ask for more: resources.mem_gb_per_node; or set fewer placement.loader_workers",
    "gpu": "if it comes back on one node, have that node looked at",
    "neighbour": "if it comes back, look into the logs of the other ranks",
    "files": "if it comes back, have the file system looked at",
    "disk": "make room where the run root and the data lie",
    "import": "mend the environment that the workers run in",
    "config": "mend the sweep file",
    "data": "mend the dataset; see: orchestrate data verify NAME",
    "weights": "bring timm's weights here: load the model once where there is a network, and copy "
    "that cache ($HF_HOME) to where the workers look",
    "parent": "watch its parent's sweep, too; once its parent is done, a watch starts it again",
    "exception": "mend what its log shows",
    "killed": "if nobody killed it, ask for more memory: resources.mem_gb_per_node",
    "crashed": "if it comes back, mend what its log shows",
    "exit": "mend what its log shows",
    "vanished": "if it comes back, see what became of its node",
    "time": "ask for more time: resources.time; or set fewer placement.checkpoint_minutes",
    "node": "if it comes back on one node, have that node looked at",
    "preempted": "set fewer placement.checkpoint_minutes, or ask for another resources.partition",
}
"""What a person can do about each kind of ``RULES``."""


def rule_of(kind: str, cluster: ClusterProfile | None = None) -> Rule:
    """The rule of a kind, as the site has it.

    A site that gives tries to what is otherwise left alone means that it is tried again.
    """
    rule, sites = RULES[kind], cluster.reasons if cluster else {}
    site = next((site for named, site in sites.items() if named == kind), None)
    if site is None:
        return rule
    changes = {name: value for name, value in site if value is not None}
    rule = replace(rule, **changes)
    if site.action is None and rule.action is STOP and rule.retries:
        return replace(rule, action=AGAIN)
    return replace(rule, retries=0) if rule.action is STOP else rule


def with_more(
    resources: Resources,
    lacked: Iterable[tuple[Action, Resources]],
    cluster: ClusterProfile | None,
) -> Resources:
    """What to ask for after starts that lacked something on what they had.

    It is at least ``resources``, and as far as the profile says that there is more.
    """
    for action, had in lacked:
        there = had.model_copy(update={"partition": resources.partition})
        more = _more(there, action, cluster)
        if more and action is MEMORY and _memory(resources) < _memory(more):
            resources = resources.model_copy(update={"mem_gb_per_node": more.mem_gb_per_node})
        if more and action is TIME and _minutes(resources) < _minutes(more):
            resources = resources.model_copy(update={"time": more.time})
    return resources


def _memory(resources: Resources) -> float:
    return resources.mem_gb_per_node or 0.0


def _minutes(resources: Resources) -> int:
    return minutes(resources.time) if resources.time else 0


def can_help(action: Action, resources: Resources, cluster: ClusterProfile | None) -> bool:
    """Whether a further start could be given what this one lacked."""
    if action in (MEMORY, TIME):
        return _more(resources, action, cluster) is not None
    return action is not STOP


def _more(resources: Resources, action: Action, cluster: ClusterProfile | None) -> Resources | None:
    """More than was asked for, at most what a node of the partition has, or the partition grants.

    None where that is not known, or all of it was asked for already.
    """
    if cluster is None or resources.partition not in (None, *cluster.partitions):
        return None
    partition = partition_of(cluster, resources)[1]
    asked, node = resources.mem_gb_per_node, partition.mem_gb_per_node
    most = node and node / resources.jobs_per_allocation
    if action is MEMORY and asked is not None and most is not None and asked < most:
        return resources.model_copy(update={"mem_gb_per_node": min(most, asked * MORE_MEMORY)})
    if action is TIME and resources.time and partition.time:
        now, longest = minutes(resources.time), minutes(partition.time)
        if now < longest:
            longer = min(longest, now * MORE_TIME)
            return resources.model_copy(update={"time": f"{longer}m"})
    return None
