"""From stored pixels to the model's input."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

Normalisation = Literal["half", "imagenet"]
CONSTANTS: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "half": ((0.5,), (0.5,)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
"""Mean and standard deviation that ``data.normalisation`` stands for, per channel or for all."""


def normalised(images: Tensor, by: Normalisation) -> Tensor:
    """Float32 from uint8 ``(B, C, H, W)``: v / 255, less the mean, over the deviation."""
    return scaled(images, *constants(by, images.device))


def scaled(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """``normalised``, by the values of `constants` that somebody holds."""
    return (images.float() / 255 - mean) / std


@lru_cache
def constants(by: Normalisation, device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and deviation on a device, ``(C or 1, 1, 1)``: brought there once, not at every step."""
    mean, std = (torch.tensor(values, device=device)[:, None, None] for values in CONSTANTS[by])
    return mean, std
