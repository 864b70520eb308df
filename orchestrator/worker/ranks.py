"""The ranks of a job as a group: they meet, add up, agree, and gather."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from orchestrator.config import Placement
from orchestrator.worker.claim import Claim
from orchestrator.worker.device import be_deterministic
from orchestrator.worker.place import Place

TIMEOUT = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Ranks:
    """One rank's view of the group; a job of one rank is a group of one."""

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is rank 0, which writes."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """The sum of ``values`` over all ranks, in place, on every rank."""
        if self.world > 1:
            dist.all_reduce(values)
        return values

    def any(self, flags: Sequence[bool]) -> list[bool]:
        """Which of the flags at least one rank has raised: the same answer on every rank."""
        if self.world == 1:
            return list(flags)
        raised = torch.tensor([int(flag) for flag in flags])
        dist.all_reduce(raised, op=dist.ReduceOp.MAX)
        return [bool(flag) for flag in raised.tolist()]

    def largest(self, value: float) -> float:
        """The largest of the ranks' values, on every rank."""
        if self.world == 1:
            return value
        found = torch.tensor(value, dtype=torch.float64)
        dist.all_reduce(found, op=dist.ReduceOp.MAX)
        return float(found)

    def agree(self, number: int) -> bool:
        """Whether every rank has the same number."""
        if self.world == 1:
            return True
        ends = torch.tensor([number, -number])
        dist.all_reduce(ends, op=dist.ReduceOp.MAX)
        return bool(ends[0] == -ends[1])

    def gather(self, value: Any) -> list[Any] | None:
        """Every rank's value in rank order on rank 0; None on the others."""
        if self.world == 1:
            return [value]
        gathered = [None] * self.world if self.first else None
        dist.gather_object(value, gathered)
        return gathered


@contextmanager
def joined(claim: Claim) -> Iterator[Ranks]:
    """The group of this attempt's ranks; rank 0 hosts the meeting on the socket it listens on."""
    place, placement, meeting = claim.place, claim.me.submission.placement, claim.meeting
    torch.set_num_threads(placement.threads_per_rank)
    if placement.deterministic:
        be_deterministic()
    device = _device(place, placement)
    if place.world == 1:
        yield Ranks(0, 1, device)
        return
    start = json.loads(claim.attempt.started.read_bytes())
    store = dist.TCPStore(  # type: ignore[attr-defined]  # documented, yet not in __all__
        start["address"],
        start["port"],
        place.world,
        is_master=meeting is not None,
        timeout=TIMEOUT,
        master_listen_fd=meeting.detach() if meeting is not None else None,
    )
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(
        backend, store=store, rank=place.rank, world_size=place.world, timeout=TIMEOUT
    )
    try:
        yield Ranks(place.rank, place.world, device)
    finally:
        dist.destroy_process_group()


def _device(place: Place, placement: Placement) -> torch.device:
    if placement.device == "cpu" or (placement.device == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    # The study's definitions ask for float32 without TF32.
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    device = torch.device("cuda", place.local_rank)
    torch.cuda.set_device(device)
    return device
