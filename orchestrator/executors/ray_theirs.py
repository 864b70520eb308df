"""A Ray cluster that is there already: getting in, and whether its nodes see what we see."""

import os
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.executors.ray_ask import LET_RANKS_SAVE, unreachable
from orchestrator.jobs.layout import Root
from orchestrator.jobs.submissions import Submission

CARRIED = ("PYTHONPATH", "ORCHESTRATE_ROOT", "ORCHESTRATE_DATA", *LET_RANKS_SAVE)
"""Variables that processes on every node need: the submission's snapshot of our code, and where."""
LOOK_S = 60.0


class NotThere(Exception):  # noqa: N818 - what is not there
    """A cluster that cannot run a submission; ``passes``: it may be able to later."""

    def __init__(self, words: str, *, passes: bool) -> None:
        super().__init__(words)
        self.passes = passes


def connect(address: str, root: Root, submission: Submission) -> None:
    """Make this process a driver of the cluster at ``address``.

    Raises:
        NotThere: it does not answer, does not let this machine in, or lacks the run root.
    """
    if (silence := unreachable(address)) is not None:
        raise NotThere(silence, passes=True)
    try:
        ray.init(
            address=address,
            namespace=submission.token,
            log_to_driver=False,
            configure_logging=False,
            runtime_env={"env_vars": {name: os.environ[name] for name in CARRIED}},
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise NotThere(
            f"the Ray cluster at {address} did not let this machine in "
            f"({' '.join(str(error).split())})",
            passes=isinstance(error, ConnectionError),  # others are of versions, which stay so
        ) from None
    if blind := _blind_nodes(root, submission):
        raise NotThere(
            f"these nodes of the Ray cluster at {address} do not see the run root {root.path}: "
            f"{', '.join(blind)}; put it on a file system that all nodes share, under the same "
            "path",
            passes=False,
        )


def _blind_nodes(root: Root, submission: Submission) -> list[str]:
    """Names of the nodes that could get work and do not have this very run root."""
    record, code = root.record, root.snapshots / submission.snapshot
    expected = record.read_bytes()

    def sees() -> bool:  # by value: a node without our code can say so
        return code.is_dir() and record.is_file() and record.read_bytes() == expected

    looks = {}
    for node in _working_nodes():
        there = NodeAffinitySchedulingStrategy(node, soft=False)
        look = ray.remote(sees).options(num_cpus=0, scheduling_strategy=there, max_retries=0)
        looks[look.remote()] = node
    seeing, _ = ray.wait(list(looks), num_returns=len(looks), timeout=LOOK_S)
    blind = {node for look, node in looks.items() if look not in seeing or not _yes(look)}
    left = _working_nodes()  # one that died takes seconds to be called dead, and sees nothing
    return sorted({left[node] for node in blind & left.keys()})


def _working_nodes() -> dict[str, str]:
    """The names of nodes that could get work, by id."""
    return {
        node["NodeID"]: node["NodeManagerHostname"]
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["Alive"] and {"CPU", "GPU"} & node["Resources"].keys()
    }


def _yes(look: Any) -> bool:
    try:
        return bool(ray.get(look))
    except ray.exceptions.RayError:
        return False
