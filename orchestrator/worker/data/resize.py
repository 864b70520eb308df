"""A box of an image in another size, by Pillow's antialiased bicubic filter."""

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from orchestrator.worker.data.decode import Picture

Pixels = NDArray[np.uint8]
"""(channels, height, width)."""
Box = tuple[int, int, int, int]
"""Left, upper, right, lower."""
Size = tuple[int, int]
"""Width and height."""


def resized(image: Picture, box: Box, size: Size, *, mirror: bool = False) -> Pixels:
    """The box of an image in another size, mirrored or not; outside the box nothing is looked at.

    Of colours by ``kernel``, if numba is installed: the same bits as Pillow's own, sooner.
    """
    left, upper, right, lower = box
    kernel = _kernel() if image.shape[2] == 3 else None
    if kernel is not None and (right - left, lower - upper) != size:
        pixels = np.empty((3, size[1], size[0]), np.uint8)
        kernel(np.ascontiguousarray(image), box, mirror, pixels)
        return pixels
    part = image[upper:lower, left:right]
    if (right - left, lower - upper) != size:
        part = array_of(image_of(part).resize(size, Image.Resampling.BICUBIC))
    return planar(part[:, ::-1] if mirror else part)


def planar(image: Picture) -> Pixels:
    """(H, W, C) as (C, H, W), in memory of its own."""
    return image.transpose(2, 0, 1).copy()


def image_of(picture: Picture) -> Image.Image:
    """A picture as Pillow's."""
    return Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)


def array_of(image: Image.Image) -> Picture:
    """Pillow's picture, grey or RGB, as (H, W, C)."""
    array = np.asarray(image)
    return array[:, :, None] if array.ndim == 2 else array


@cache
def _kernel() -> Callable[[Picture, Box, bool, Pixels], None] | None:
    try:
        from orchestrator.worker.data.kernel import resize  # noqa: PLC0415 - it is compiled
    except (ImportError, RuntimeError):  # no numba, or no folder to keep compiled code in
        return None
    return resize
