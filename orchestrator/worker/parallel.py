"""How ranks hold a model: each all of it (DDP), or a part of every parameter (FSDP2).

DDP averages gradients over the ranks (Li et al., arXiv 2006.15704). FSDP2 gathers the parameters of
a few blocks while they are computed with, and leaves each rank its part of the averaged gradients
(Zhao et al., arXiv 2304.11277). Parameters stay in float32 and autocast casts them, as in one
process: all three do the same arithmetic, but for the order of sums over ranks.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._dynamo import config as dynamo
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from model.probes.weights import whole
from model.vit import ViT
from orchestrator.config import Placement
from orchestrator.errors import SpecError
from orchestrator.jobs.compilers import missing_compiler
from orchestrator.worker.checkpoint import copied
from orchestrator.worker.objective import Objective
from orchestrator.worker.ranks import Ranks

GATHERED = 3
"""So many blocks are gathered at once: each time costs the host, however small they are."""
HOW = ("fused", "foreach")
"""Of an optimiser's settings those that change nothing but its speed."""
SIZES = 4
"""Passes have so many sizes at most, each a graph of its own: a step or micro-batch, what is left
of a step, what is left of the shorter last step of an epoch, and one image."""


def prepared(objective: Objective, ranks: Ranks, placement: Placement) -> nn.Module:
    """What is trained: the objective, compiled and shared among the ranks as the placement says.

    Where a model is sharded its blocks are compiled, each by itself, as gathering is no part of a
    graph; else all that leads from images to their loss. Sharding makes new parameters: build the
    optimiser after this.

    Raises:
        SpecError: there is no compiler.
    """
    sharded = placement.parallel == "fsdp2" and ranks.world > 1
    if placement.compile:
        if lack := missing_compiler(ranks.device.type):
            raise SpecError(f"Rank {ranks.rank} cannot start: {lack}.")
        _compile(list(objective.model.blocks) if sharded else [objective])
    if sharded:
        _shard(objective.model, ranks)
        return objective
    if ranks.world == 1:
        return objective
    devices = [ranks.device.index] if ranks.device.type == "cuda" else None
    return DistributedDataParallel(objective, device_ids=devices, gradient_as_bucket_view=True)


def is_sharded(model: nn.Module) -> bool:
    """Whether each rank holds a part of every parameter: then all must take as many passes."""
    return isinstance(model, FSDPModule)


@contextmanager
def quiet(net: nn.Module) -> Iterator[None]:
    """No averaging over ranks: for all passes of a step but the last."""
    if isinstance(net, DistributedDataParallel):
        with net.no_sync():
            yield
        return
    model = net.model
    if not isinstance(model, FSDPModule):
        yield
        return
    model.set_requires_gradient_sync(False)
    try:
        yield
    finally:
        model.set_requires_gradient_sync(True)


def gathered(state: Any, ranks: Ranks) -> Any:
    """A nested state with whole tensors, as one process has them, on the first rank.

    The others get nothing in place of what they hold in parts, yet must ask.
    """
    return copied(state, whole if ranks.first else _lent)


def as_held(weights: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Whole tensors, which every rank has, as those of the same name are held: in parts or whole.

    Nothing is sent for it.
    """
    return {name: _part(value, like.get(name, value)) for name, value in weights.items()}


def load_optimizer(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Load an optimiser's whole state, by position, however its parameters are held.

    How it computes (`HOW`) is its own choice, whatever program left the state.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    kept = {
        position: {name: _part(value, parameters[position]) for name, value in each.items()}
        for position, each in state["state"].items()
    }
    groups = [
        {**saved, **{name: own[name] for name in HOW if name in own}}
        for saved, own in zip(state["param_groups"], optimizer.param_groups, strict=True)
    ]
    optimizer.load_state_dict({**state, "state": kept, "param_groups": groups})


def _compile(modules: Sequence[nn.Module]) -> None:
    # Blocks that differ in a constant alone (of their depth, say) are graphs of their own, too.
    dynamo.recompile_limit = max(dynamo.recompile_limit, SIZES * len(modules))
    for module in modules:
        module.compile(fullgraph=True, dynamic=False)


def _shard(model: ViT, ranks: Ranks) -> None:
    mesh = init_device_mesh(ranks.device.type, (ranks.world,))
    blocks = list(model.blocks)
    for start in range(0, len(blocks), GATHERED):
        fully_shard(blocks[start : start + GATHERED], mesh=mesh)
    fully_shard(model, mesh=mesh)


def _lent(tensor: Tensor) -> Tensor:
    """Take part in gathering what the first rank keeps."""
    whole(tensor)
    return torch.empty(0) if isinstance(tensor, DTensor) else tensor


def _part(value: Tensor, like: Tensor) -> Tensor:
    """As ``like`` is held, if ``value`` has its shape; a count of steps, say, is every rank's."""
    if not isinstance(like, DTensor) or value.shape != like.shape:
        return value
    value = value.to(like.device)
    return distribute_tensor(value, like.device_mesh, like.placements, src_data_rank=None)
