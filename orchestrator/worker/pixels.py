"""From stored pixels to the model's input."""

from torch import Tensor

MEAN = STD = 0.5


def normalised(images: Tensor) -> Tensor:
    """Float32 in [-1, 1] from uint8 ``(B, C, H, W)``."""
    return (images.float() / 255 - MEAN) / STD
