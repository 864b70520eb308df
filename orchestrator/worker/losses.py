"""What training minimises."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from orchestrator.config.train import TrainConfig


def summed_loss(logits: Tensor, targets: Tensor, train: TrainConfig) -> Tensor:
    """The sum over images of each image's loss, of logits ``(B, classes)``.

    ``targets`` are classes, int64 ``(B,)``, or shares of classes, float ``(B, classes)``.

    ce is the cross-entropy, with ``label_smoothing`` of the shares. bce is the mean over classes of
    the binary cross-entropy, and takes every class with a share above 0 as present (Wightman et
    al., arXiv 2110.00476, s. 3.2; DeiT III).
    """
    if train.loss == "bce":
        shares = targets if targets.is_floating_point() else one_hot(targets, logits.shape[1])
        present = (shares > 0).to(logits.dtype)
        each = F.binary_cross_entropy_with_logits(logits, present, reduction="none")
        return each.mean(dim=1).sum()
    smoothing = train.label_smoothing
    return F.cross_entropy(logits, targets, reduction="sum", label_smoothing=smoothing)


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """Bool ``(n, classes)``; unlike torch's own it does not wait to see labels in range."""
    return labels[:, None] == torch.arange(classes, device=labels.device)


def zero_logit_loss(train: TrainConfig, classes: int) -> float:
    """An image's loss where all logits are 0, whatever its targets: that of knowing nothing."""
    return math.log(2) if train.loss == "bce" else math.log(classes)
