"""What one job asks of a cluster: never part of a job's identity."""

import re
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from orchestrator.config.placement import Placement
from orchestrator.config.section import Section

_DURATION = re.compile(r"(?:([0-9]{1,5})d)?(?:([0-9]{1,5})h)?(?:([0-9]{1,5})m)?")
_MINUTES = (24 * 60, 60, 1)


def minutes(duration: str) -> int:
    """The length of a ``Duration``: 2160 for ``1d12h``.

    Raises:
        ValueError: it is no duration.
    """
    found = _DURATION.fullmatch(duration)
    if not found or not duration:
        raise ValueError(
            f'"{duration[:40]}" is no duration; write days, hours and minutes in this order, '
            "as in 90m, 12h, 2d or 1d12h"
        )
    return sum(int(part or 0) * size for part, size in zip(found.groups(), _MINUTES, strict=True))


def _refuse_bare_number(written: Any) -> Any:
    number = isinstance(written, int | float) and not isinstance(written, bool)
    if number or (isinstance(written, str) and re.fullmatch(r"[0-9.]+", written)):
        raise ValueError(f"{written} has no unit; write one, as in 90m, 12h, 2d or 1d12h")
    return written


def _refuse_no_time(duration: str) -> str:
    if minutes(duration) < 1:
        raise ValueError(f"{duration} is no time; write at least 1m")
    return duration


Duration = Annotated[str, BeforeValidator(_refuse_bare_number), AfterValidator(_refuse_no_time)]
"""Days, hours and minutes: ``90m``, ``12h``, ``2d``, ``1d12h``; see ``minutes``."""


class Resources(Section):
    """Nodes, processors, memory and time of one job; places that hand none out ignore them.

    So one sweep file runs on this machine and on a cluster. What is left out comes from the
    placement and from the cluster's profile.
    """

    nodes: int = Field(default=1, ge=1)
    """Machines of a job; each takes equally many of its ranks."""
    gpus_per_node: int | None = Field(default=None, ge=0)
    """null: one per rank, where the partition has GPUs and ``placement.device`` is not cpu."""
    cpus_per_rank: int | None = Field(default=None, ge=1)
    """null: one for each thread of the rank, and one for each of its loader workers."""
    cpus_per_gpu: int | None = Field(default=None, ge=1)
    """Another way to say ``cpus_per_rank``, since a rank has one GPU; without GPUs it is null."""
    mem_gb_per_node: float | None = Field(default=None, gt=0)
    """null: what the partition gives by itself."""
    time: Duration | None = None
    """How long one start may run, as in 12h; null: as long as the partition lets it."""
    partition: str | None = Field(default=None, min_length=1)
    """One of the cluster's profile; null: its ``default_partition``, else its first."""
    jobs_per_allocation: int = Field(default=1, ge=1)
    """More than 1: so many jobs at a time share one allocation of one node, which asks for what
    all of them come to and runs one job after the other."""
    jobs_per_gpu: int = Field(default=1, ge=1)
    """How many of the jobs of an allocation share a GPU."""

    @model_validator(mode="after")
    def _cpus_are_told_once(self) -> Self:
        if self.cpus_per_rank is not None and self.cpus_per_gpu is not None:
            raise ValueError(
                f"cpus_per_rank {self.cpus_per_rank} and cpus_per_gpu {self.cpus_per_gpu} say the "
                "same thing, since a rank has one GPU; keep one of them, and set the other to null"
            )
        return self


def ranks_per_node(resources: Resources, placement: Placement) -> int:
    """How many of a job's ranks the fullest of its nodes takes."""
    return -(-placement.ranks // resources.nodes)


def shared_gpus(jobs: int, gpus: int, jobs_per_gpu: int) -> int:
    """The fewest GPUs that give each of ``jobs`` ``gpus`` different ones, so many jobs on each."""
    return max(gpus, -(-jobs * gpus // jobs_per_gpu))


def refuse_resources(resources: Resources, placement: Placement) -> str | None:
    """Why a job with this placement cannot run on these resources, or None."""
    return _refuse_ranks(resources, placement) or _refuse_packing(resources, placement)


def _refuse_ranks(resources: Resources, placement: Placement) -> str | None:
    ranks, nodes, gpus = placement.ranks, resources.nodes, resources.gpus_per_node
    each = ranks_per_node(resources, placement)
    if ranks % nodes:
        return (
            f"resources.nodes is {nodes}, but placement.ranks is {ranks}, and every node takes "
            f"equally many ranks; use {nodes * each} ranks, or a number of nodes that divides "
            f"{ranks}"
        )
    if gpus and placement.device == "cpu":
        return (
            f"resources.gpus_per_node is {gpus}, but placement.device is cpu; leave gpus_per_node "
            "out, or use device: auto"
        )
    if gpus and gpus != each:
        return (
            f"resources.gpus_per_node is {gpus}, but placement.ranks {ranks} on resources.nodes "
            f"{nodes} are {each} rank(s) per node, and a rank takes one GPU; use "
            f"gpus_per_node: {each}, or ranks: {gpus * nodes}"
        )
    return None


def _refuse_packing(resources: Resources, placement: Placement) -> str | None:
    jobs, sharing = resources.jobs_per_allocation, resources.jobs_per_gpu
    if jobs > 1 and resources.nodes > 1:
        return (
            f"resources.jobs_per_allocation is {jobs}, but resources.nodes is {resources.nodes}, "
            "and jobs that share an allocation run on one node; use nodes: 1, or "
            "jobs_per_allocation: 1"
        )
    if sharing > jobs:
        return (
            f"resources.jobs_per_gpu is {sharing}, but resources.jobs_per_allocation is {jobs}, "
            f"and only jobs of one allocation share GPUs; use jobs_per_allocation: {sharing} or "
            "more"
        )
    if sharing > 1 and placement.device == "cpu":
        return (
            f"resources.jobs_per_gpu is {sharing}, but placement.device is cpu; leave jobs_per_gpu "
            "out, or use device: auto"
        )
    return None
