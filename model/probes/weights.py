"""What can be read off a model's parameters and their gradients, without an image."""

import numpy as np
import torch
from timm.layers.layer_scale import LayerScale
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from model.probes.base import Findings

BRANCHES = {"attention": "ls1", "mlp": "ls2"}


def layer_scales(model: VisionTransformer) -> Findings:
    """Mean absolute LayerScale of each branch (Touvron et al., arXiv 2103.17239).

    Arrays ``layer_scale/by_block/*`` (depth,), scalars their means; empty without LayerScale. Of a
    sharded model every rank must ask.
    """
    found = Findings()
    for branch, name in BRANCHES.items():
        scales = [getattr(block, name, None) for block in model.blocks]
        gammas = [whole(s.gamma).abs().mean() for s in scales if isinstance(s, LayerScale)]
        if gammas:
            means = torch.stack(gammas).double().cpu().numpy()
            found |= Findings(
                scalars={f"layer_scale/{branch}": float(means.mean())},
                arrays={f"layer_scale/by_block/{branch}": means},
            )
    return found


def gradients_by_block(model: VisionTransformer) -> Findings:
    """L2 norm of the gradient of each block's parameters; 0 without a gradient.

    Array ``gradients/by_block`` (depth,), scalars its median, its largest and the block that has
    that. To be asked between the backward pass and whatever changes gradients (clipping). Of a
    sharded model every rank must ask.
    """
    return _by_block("gradients", torch.stack([_gradient_norm(block) for block in model.blocks]))


def parameters_by_block(model: VisionTransformer) -> list[list[Tensor]]:
    """A copy of each block's parameters, for `updates_by_block` after the step."""
    return [[p.detach().clone() for p in block.parameters()] for block in model.blocks]


def updates_by_block(before: list[list[Tensor]], model: VisionTransformer) -> Findings:
    """By how much a step changed each block: L2 norm of the change over that of its parameters.

    Array ``updates/by_block`` (depth,), scalars its median, its largest and the block that has
    that. ``before``: what `parameters_by_block` told before the step. Of a sharded model every
    rank must ask.
    """
    ratios = []
    for block, old in zip(model.blocks, before, strict=True):
        changes = [p.detach() - was for p, was in zip(block.parameters(), old, strict=True)]
        change, size = (whole(nn.utils.get_total_norm(each)) for each in (changes, old))
        ratios.append(change / size)
    return _by_block("updates", torch.stack(ratios))


def _by_block(name: str, values: Tensor) -> Findings:
    found = values.double().cpu().numpy()
    scalars = {
        f"{name}/median": float(np.median(found)),
        f"{name}/max": float(found.max()),
        f"{name}/max_block": float(found.argmax()),
    }
    return Findings(scalars=scalars, arrays={f"{name}/by_block": found})


def _gradient_norm(block: nn.Module) -> Tensor:
    gradients = [p.grad.detach() for p in block.parameters() if p.grad is not None]
    if not gradients:
        return torch.zeros(())
    return whole(nn.utils.get_total_norm(gradients))


def whole(tensor: Tensor) -> Tensor:
    """The tensor itself, detached, also where ranks hold shards of it; then every one must ask."""
    tensor = tensor.detach()
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
