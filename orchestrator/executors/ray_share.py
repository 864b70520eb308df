"""What one job has of a Ray cluster: what it asks for, and why that could never be given. Pure."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.config import Placement, Resources
from orchestrator.config.resources import ranks_per_node
from orchestrator.executors.pool_lines import visible_gpus

GB = 2**30
"""Bytes of a GB, as in ``mem_gb_per_node`` everywhere."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a Ray cluster with all that Ray hands out of it, used or not."""

    name: str
    cpus: float
    gpus: float
    memory_gb: float | None = None
    """None: not known, and not checked."""

    def __str__(self) -> str:
        return f"{self.name}: {self.cpus:g} CPU(s), {self.gpus:g} GPU(s)" + (
            "" if self.memory_gb is None else f", {self.memory_gb:.0f} GB"
        )


@dataclass(frozen=True, slots=True)
class Share:
    """What a job asks for: so much of each of ``nodes`` different nodes, for ``ranks`` ranks."""

    nodes: int
    ranks: int
    cpus: float
    gpus: float
    memory_gb: float | None

    def fits(self, node: Node) -> bool:
        enough = node.memory_gb is None or (self.memory_gb or 0) <= node.memory_gb
        return enough and self.cpus <= node.cpus and self.gpus <= node.gpus

    def bundles(self) -> list[dict[str, float]]:
        """As Ray takes it, a bundle a node; memory in bytes."""
        each = {"CPU": float(self.cpus), "GPU": float(self.gpus)}
        if self.memory_gb is not None:
            each["memory"] = float(int(self.memory_gb * GB))
        return [dict(each) for _ in range(self.nodes)]

    @property
    def strategy(self) -> str:
        """Where Ray puts the bundles."""
        return "STRICT_PACK" if self.nodes == 1 else "STRICT_SPREAD"

    def __str__(self) -> str:
        each = f"{self.cpus:g} CPU(s) and {self.gpus:g} GPU(s)"
        if self.memory_gb is not None:
            each += f" and {self.memory_gb:g} GB"
        return f"{self.nodes} node(s) with {each} each, for {self.ranks} rank(s) per node"


def share_of(resources: Resources, placement: Placement, *, gpus_there: bool) -> Share:
    """What one job asks for; ``gpus_there``: whether the cluster has any."""
    each = ranks_per_node(resources, placement)
    on_gpus = placement.device != "cpu" and resources.gpus_per_node != 0
    asked = placement.device == "cuda" or bool(resources.gpus_per_node)
    gpus = 1 / resources.jobs_per_gpu if on_gpus and (asked or gpus_there) else 0.0
    cpus = resources.cpus_per_rank or (resources.cpus_per_gpu if gpus else None)
    cpus = cpus or placement.threads_per_rank + placement.loader_workers
    return Share(resources.nodes, each, each * cpus, each * gpus, resources.mem_gb_per_node)


def refuse_share(
    resources: Resources, placement: Placement, nodes: Sequence[Node], where: str
) -> list[str]:
    """Why no place on these nodes could ever hold such a job; empty if one can.

    ``where`` names the cluster in messages.
    """
    share = share_of(resources, placement, gpus_there=any(node.gpus for node in nodes))
    if share.gpus and share.ranks > 1 and resources.jobs_per_gpu > 1:
        words = (
            f"resources.jobs_per_gpu is {resources.jobs_per_gpu} and there are {share.ranks} ranks "
            "per node, but Ray may give two of them parts of one and the same GPU; use "
            "jobs_per_gpu: 1, or one rank per node"
        )
        return [words]
    fitting = sum(share.fits(node) for node in nodes)
    if fitting >= share.nodes:
        return []
    there = "; ".join(map(str, nodes)) or "no node"
    words = (
        f"a job asks for {share}, but {fitting} node(s) of {where} have that much ({there}); ask "
        "for less (placement.ranks, placement.threads_per_rank, placement.loader_workers, "
        "resources)"
    )
    return [words]


def this_machine(environment: Mapping[str, str] = os.environ) -> Node:
    """What a cluster that is started here hands out: what this process may use.

    Inside an allocation of SLURM that is the task's, whatever else the machine has.
    """
    cores = len(os.sched_getaffinity(0))
    granted = environment.get("SLURM_CPUS_ON_NODE", "")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GB
    return Node(
        name="this machine",
        cpus=int(granted) if granted.isdigit() else cores,
        gpus=len(visible_gpus()),
        memory_gb=memory,
    )
