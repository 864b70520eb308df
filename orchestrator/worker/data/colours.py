"""Random changes of an image's colours, by Pillow, as torchvision makes them of Pillow's images.

Formulas, for pixels of 0-255: grey is ``L = (19595 R + 38470 G + 7471 B + 32768) >> 16`` (ITU-R
601-2); solarised is v below 128 and 255 - v from there on. A factor f makes ``clip(d + f (v - d))``
of a pixel v, truncated, where d is 0 for brightness, the mean of L, rounded, for contrast, and the
pixel's own L for saturation (torchvision.transforms.functional: adjust_brightness, adjust_contrast,
adjust_saturation). The blur approximates a Gaussian by three box blurs (Pillow: GaussianBlur).
"""

from itertools import permutations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

BLUR_RADIUS = (0.1, 2.0)  # standard deviations, pixels
ENHANCERS = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
ORDERS = tuple(permutations(range(len(ENHANCERS))))


def three_augment(image: Image.Image, which: float, blur: float) -> Image.Image:
    """Grey, solarised or blurred, each for a third of ``which`` in [0, 1).

    The 3-Augment of Touvron et al., arXiv 2204.07118, s. 3.3; ``blur`` in [0, 1) gives the radius.
    """
    low, high = BLUR_RADIUS
    match int(which * 3):
        case 0:
            return image.convert("L").convert(image.mode)
        case 1:
            return ImageOps.solarize(image, threshold=128)
        case _:
            return image.filter(ImageFilter.GaussianBlur(low + (high - low) * blur))


def jittered(
    image: Image.Image, strength: float, order: float, draws: NDArray[np.float64]
) -> Image.Image:
    """Brightness, contrast and saturation changed, in an order that ``order`` in [0, 1) chooses.

    ``draws``, one for each, give factors in [1 - strength, 1 + strength].
    """
    for which in ORDERS[int(order * len(ORDERS))]:
        factor = 1 - strength + 2 * strength * float(draws[which])
        image = ENHANCERS[which](image).enhance(factor)
    return image
