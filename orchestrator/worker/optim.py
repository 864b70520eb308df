"""The optimiser's parameter groups, and the learning rate of every step."""

import math

import torch

from model.vit import ViT
from orchestrator.config.optim import OptimConfig


def build_optimizer(model: ViT, config: OptimConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter, arXiv 1711.05101).

    Vectors, position embedding, class and register tokens, input-independent gates, learned keys
    and values are not decayed. What takes no gradient is left out.
    """
    exempt = model.no_weight_decay()
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    bare = [p for name, p in named if p.ndim <= 1 or name in exempt]
    decayed = [p for name, p in named if p.ndim > 1 and name not in exempt]
    return torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": config.weight_decay},
            {"params": bare, "weight_decay": 0.0},
        ],
        lr=config.lr,
        betas=(config.beta1, config.beta2),
        eps=config.eps,
    )


def learning_rate(step: int, *, steps: int, steps_per_epoch: int, config: OptimConfig) -> float:
    """The rate that step ``step`` (from 0) of ``steps`` is taken with.

    Linear from ``warmup_lr`` to ``lr`` over the warm-up, then half a cosine down to ``min_lr``
    (Loshchilov and Hutter, arXiv 1608.03983, eq. 5 without restarts).
    """
    warmup = round(config.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return config.warmup_lr + (config.lr - config.warmup_lr) * step / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return config.min_lr + 0.5 * (config.lr - config.min_lr) * (1 + math.cos(math.pi * done))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
