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
        gammas = [_whole(s.gamma).abs().mean() for s in scales if isinstance(s, LayerScale)]
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
    norms = torch.stack([_gradient_norm(block) for block in model.blocks]).double().cpu().numpy()
    scalars = {
        "gradients/median": float(np.median(norms)),
        "gradients/max": float(norms.max()),
        "gradients/max_block": float(norms.argmax()),
    }
    return Findings(scalars=scalars, arrays={"gradients/by_block": norms})


def _gradient_norm(block: nn.Module) -> Tensor:
    gradients = [p.grad.detach() for p in block.parameters() if p.grad is not None]
    if not gradients:
        return torch.zeros(())
    return _whole(nn.utils.get_total_norm(gradients))


def _whole(tensor: Tensor) -> Tensor:
    """The tensor itself, also where ranks hold shards of it."""
    tensor = tensor.detach()
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
