"""From a decoded image to the square of pixels that the model sees."""

import math

import numpy as np
from numpy.typing import NDArray

from orchestrator.config.data import DataConfig
from orchestrator.worker.data import colours
from orchestrator.worker.data.decode import Picture
from orchestrator.worker.data.resize import Box, Pixels, array_of, image_of, planar, resized

AREA = (0.08, 1.0)
RATIO = (3 / 4, 4 / 3)
TRIES = 10

# Every decision has its own place among an image's draws, so that a setting which is on or off
# does not change the others. Per try: area, ratio, top, left.
TRY_DRAWS = 4
FLIP = TRIES * TRY_DRAWS
SHIFT_DOWN, SHIFT_RIGHT = FLIP + 1, FLIP + 2
THREE_AUGMENT, BLUR, JITTER_ORDER = FLIP + 3, FLIP + 4, FLIP + 5
JITTER = slice(FLIP + 6, FLIP + 9)
DRAWS = FLIP + 9


def evaluation_view(image: Picture, size: int) -> Pixels:
    """The shorter side resized to ``size``, then the centre."""
    return _centre(image, size, mirror=False)


def training_view(
    image: Picture, data: DataConfig, size: int, draws: NDArray[np.float64]
) -> Pixels:
    """A random view; ``draws`` are the image's ``DRAWS`` uniform numbers of this epoch."""
    mirror = data.flip and bool(draws[FLIP] < 0.5)
    if data.crop == "random_resized":
        height, width, _ = image.shape
        box = random_box((width, height), draws)
        pixels = resized(image, box, (size, size), mirror=mirror)
    else:
        pixels = _centre(image, size, mirror=mirror)
    if data.three_augment or data.color_jitter:
        pixels = _recoloured(pixels, data, draws)
    if data.shift:
        reach = 2 * data.shift + 1
        down, right = (int(draws[n] * reach) for n in (SHIFT_DOWN, SHIFT_RIGHT))
        pixels = _shifted(pixels, data.shift, down, right)
    return pixels


def random_box(size: tuple[int, int], draws: NDArray[np.float64]) -> Box:
    """The box of the "random resized crop" for an image of (width, height).

    A share of the area and, uniform in its logarithm, a ratio of width to height are drawn until
    such a box fits (Szegedy et al., arXiv 1409.4842, s. 6); after ten tries the largest centred box
    of an allowed ratio is taken, as torchvision's RandomResizedCrop does.
    """
    width, height = size
    for area, ratio, top, left in draws[:FLIP].reshape(TRIES, TRY_DRAWS).tolist():
        target = width * height * _between(*AREA, area)
        wide = math.exp(_between(math.log(RATIO[0]), math.log(RATIO[1]), ratio))
        w, h = round(math.sqrt(target * wide)), round(math.sqrt(target / wide))
        if 0 < w <= width and 0 < h <= height:
            x, y = int(left * (width - w + 1)), int(top * (height - h + 1))
            return x, y, x + w, y + h
    w = min(width, round(height * RATIO[1]))
    h = min(height, round(width / RATIO[0]))
    x, y = (width - w) // 2, (height - h) // 2
    return x, y, x + w, y + h


def _between(low: float, high: float, draw: float) -> float:
    return low + (high - low) * draw


def _centre(image: Picture, size: int, *, mirror: bool) -> Pixels:
    height, width, _ = image.shape
    shorter = min(width, height)
    scaled = (width * size // shorter, height * size // shorter)
    left, top = (round((side - size) / 2) for side in scaled)
    if mirror:
        left = scaled[0] - size - left
    whole = resized(image, (0, 0, width, height), scaled, mirror=mirror)
    return np.ascontiguousarray(whole[:, top : top + size, left : left + size])


def _recoloured(pixels: Pixels, data: DataConfig, draws: NDArray[np.float64]) -> Pixels:
    image = image_of(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    if data.three_augment:
        which, blur = float(draws[THREE_AUGMENT]), float(draws[BLUR])  # Pillow takes no numpy's
        image = colours.three_augment(image, which, blur)
    if data.color_jitter:
        image = colours.jittered(image, data.color_jitter, draws[JITTER_ORDER], draws[JITTER])
    return planar(array_of(image))


def _shifted(pixels: Pixels, reach: int, down: int, right: int) -> Pixels:
    """Moved by (down - reach, right - reach) pixels; what comes in is black."""
    _, height, width = pixels.shape
    padded = np.pad(pixels, ((0, 0), (reach, reach), (reach, reach)))
    top, left = 2 * reach - down, 2 * reach - right
    return np.ascontiguousarray(padded[:, top : top + height, left : left + width])
