"""The optimiser's parameter groups, and the learning rate of every step."""

import math
from typing import Any

import torch
from timm.optim.lamb import Lamb
from torch import Tensor

from model.vit import ViT
from orchestrator.config.optim import OptimConfig


def build_optimizer(model: ViT, config: OptimConfig) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter, arXiv 1711.05101) or LAMB (You et al., arXiv 1904.00962).

    Vectors, position embedding, class and register tokens, input-independent gates, learned keys
    and values are not decayed. What takes no gradient is left out.

    LAMB is timm's, as DeiT III has it: the steps of decayed parameters alone are scaled by their
    trust ratio, ||p|| / ||step||, unbounded; vectors take Adam's. Unlike timm's default it does not
    clip: the trainer does, and knows the norm. Both work on all parameters at once (foreach, fused)
    and take their rate as a tensor.
    """
    exempt = model.no_weight_decay()
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    bare = [p for name, p in named if p.ndim <= 1 or name in exempt]
    decayed = [p for name, p in named if p.ndim > 1 and name not in exempt]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": bare, "weight_decay": 0.0},
    ]
    shared: dict[str, Any] = {
        "lr": config.lr,
        "betas": (config.beta1, config.beta2),
        "eps": config.eps,
    }
    if config.name == "lamb":
        return Lamb(groups, **shared, max_grad_norm=None, foreach=True)
    return torch.optim.AdamW(groups, **shared, fused=True)


def learning_rate(step: int, *, steps: int, steps_per_epoch: int, config: OptimConfig) -> float:
    """The rate that step ``step`` (from 0) of ``steps`` is taken with.

    Linear from ``warmup_lr`` to ``lr`` over the warm-up, then half a cosine down to ``min_lr``
    (Loshchilov and Hutter, arXiv 1608.03983, eq. 5 without restarts).

    By epochs, the cosine runs over the whole of training and is joined where the warm-up ends; and
    as DeiT's and timm's loops tell the schedule of an epoch after it, epoch e (from 0) has the rate
    of e - 1, and epoch 0 that of the start.
    """
    if config.schedule == "epoch":
        now = max(0, step // steps_per_epoch - 1)
        if now < config.warmup_epochs:
            return _warming(now / config.warmup_epochs, config)
        return _cooling(now / (steps // steps_per_epoch), config)
    warmup = round(config.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return config.warmup_lr + (config.lr - config.warmup_lr) * step / warmup
    return _cooling((step - warmup) / max(1, steps - warmup), config)


def _warming(done: float, config: OptimConfig) -> float:
    return config.warmup_lr + (config.lr - config.warmup_lr) * done


def _cooling(done: float, config: OptimConfig) -> float:
    return config.min_lr + 0.5 * (config.lr - config.min_lr) * (1 + math.cos(math.pi * done))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: Tensor) -> None:
    """The rate ``()`` of the next step, on the parameters' device: the host need not know it."""
    for group in optimizer.param_groups:
        group["lr"] = rate
