from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms import functional

from orchestrator.config.data import DataConfig
from orchestrator.worker.data.augment import (
    BLUR,
    DRAWS,
    JITTER,
    JITTER_ORDER,
    THREE_AUGMENT,
    training_view,
)
from orchestrator.worker.data.colours import BLUR_RADIUS, ORDERS, jittered, three_augment
from orchestrator.worker.data.resize import array_of
from orchestrator.worker.draws import uniforms

Pixels = NDArray[np.float64]
GREY, SOLARISED, BLURRED = 0.1, 0.5, 0.9
"""A draw in the middle third makes an image solarised, and so on."""
BRIGHTNESS, CONTRAST, SATURATION = range(3)


def picture(size: int = 48, channels: int = 3) -> Image.Image:
    """Waves with noise on them: dark and bright, coloured and nearly grey."""
    y, x = np.mgrid[:size, :size] / size
    waves = np.stack([np.sin(9 * x + 3 * y), np.cos(7 * y), x * y * 2 - 1], axis=-1) * 110 + 127
    noisy = waves + 16 * (uniforms((size, size, 3), "noise") - 0.5)
    pixels = np.clip(noisy, 0, 255).astype(np.uint8)
    return Image.fromarray(pixels if channels == 3 else pixels[:, :, 0])


def values(image: Image.Image) -> Pixels:
    return np.asarray(image).astype(np.float64)


def luma(pixels: Pixels) -> Pixels:
    """ITU-R 601-2 in 16 bits, as Pillow's convert("L") documents and rounds it."""
    red, green, blue = np.moveaxis(pixels.astype(np.int64), -1, 0)
    return (((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16)[..., None]).astype(float)


def blended(pixels: Pixels, degenerate: Pixels | float, factor: float) -> Pixels:
    return np.trunc(np.clip(degenerate + factor * (pixels - degenerate), 0, 255))


def brightened(pixels: Pixels, factor: float) -> Pixels:
    return blended(pixels, 0, factor)


def contrasted(pixels: Pixels, factor: float) -> Pixels:
    return blended(pixels, np.floor(luma(pixels).mean() + 0.5), factor)


def saturated(pixels: Pixels, factor: float) -> Pixels:
    return blended(pixels, luma(pixels), factor)


FORMULAS = {BRIGHTNESS: brightened, CONTRAST: contrasted, SATURATION: saturated}


def in_order(*first: int) -> float:
    """The draw that chooses the order of the changes."""
    return (ORDERS.index(first) + 0.5) / len(ORDERS)


def only(which: int, draw: float) -> Callable[[Image.Image], Image.Image]:
    """The change of one of the three, the others by a factor of 1."""
    draws = np.full(3, 0.5)
    draws[which] = draw
    return partial(jittered, strength=0.3, order=0.0, draws=draws)


def test_grey_is_the_luma_in_all_channels() -> None:
    image = picture()

    assert np.array_equal(values(three_augment(image, GREY, 0)), luma(values(image)).repeat(3, 2))


def test_solarised_is_inverted_from_half_on() -> None:
    before = values(picture())

    after = values(three_augment(picture(), SOLARISED, 0))
    assert np.array_equal(after, np.where(before < 128, before, 255 - before))


@pytest.mark.parametrize("draw", [0.0, 0.25, 0.5, 1 - 2**-53])
def test_blurred_is_a_gaussian_of_the_drawn_radius_to_a_level(draw: float) -> None:
    """Pillow's blur is three box blurs, here within one level of a Gaussian (rms)."""
    low, high = BLUR_RADIUS
    sigma = low + (high - low) * draw
    reach = 12
    kernel = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    wanted = values(picture())
    for axis in (0, 1):
        padding = [(reach, reach) if n == axis else (0, 0) for n in range(3)]
        padded = np.pad(wanted, padding, mode="edge")
        smooth = partial(np.convolve, kernel / kernel.sum(), mode="valid")
        wanted = np.apply_along_axis(smooth, axis, padded)

    found = values(three_augment(picture(), BLURRED, draw))

    assert np.sqrt(np.square(found - wanted).mean()) < 1
    assert sigma < 0.5 or np.sqrt(np.square(values(picture()) - wanted).mean()) > 1.5


@pytest.mark.parametrize("which", FORMULAS)
@pytest.mark.parametrize("draw", [0.0, 0.3, 0.8, 1 - 2**-53])
def test_a_change_of_colour_follows_its_formula_to_the_last_level(which: int, draw: float) -> None:
    factor = 1 - 0.3 + 0.6 * draw

    found = values(only(which, draw)(picture()))

    assert np.abs(found - FORMULAS[which](values(picture()), factor)).max() <= 1
    assert np.abs(found - values(picture())).max() > 5


@pytest.mark.parametrize("order", ORDERS)
def test_changes_come_in_the_drawn_order_as_torchvision_makes_them(order: tuple[int, ...]) -> None:
    adjust = {
        BRIGHTNESS: functional.adjust_brightness,
        CONTRAST: functional.adjust_contrast,
        SATURATION: functional.adjust_saturation,
    }
    draws = np.array([0.9, 0.2, 0.7])
    wanted = picture()
    for which in order:
        wanted = adjust[which](wanted, 0.7 + 0.6 * draws[which])

    found = jittered(picture(), 0.3, in_order(*order), draws)

    assert np.array_equal(values(found), values(wanted))


def test_orders_and_kinds_are_equally_likely() -> None:
    drawn = uniforms((6000, DRAWS), "many")
    kinds = np.bincount((drawn[:, THREE_AUGMENT] * 3).astype(int))
    orders = np.bincount((drawn[:, JITTER_ORDER] * len(ORDERS)).astype(int))

    assert kinds == pytest.approx(2000, abs=150)
    assert orders == pytest.approx(1000, abs=120)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", [GREY, SOLARISED, BLURRED])
def test_a_view_is_changed_by_one_of_the_three_and_then_in_its_colours(
    channels: int, kind: float
) -> None:
    image = picture(32, channels)
    draws = uniforms(DRAWS, "view")
    draws[THREE_AUGMENT] = kind
    data = DataConfig(name="x", three_augment=True, color_jitter=0.3)

    view = training_view(array_of(image), data, 32, draws)

    once = three_augment(image, kind, float(draws[BLUR]))
    wanted = jittered(once, 0.3, float(draws[JITTER_ORDER]), draws[JITTER])
    pixels = np.asarray(wanted).reshape(32, 32, channels).transpose(2, 0, 1)
    assert np.array_equal(view, pixels)


def test_settings_that_are_off_change_no_view() -> None:
    plain, draws = DataConfig(name="x", crop="random_resized", flip=True), uniforms(DRAWS, "view")

    view = training_view(array_of(picture()), plain, 16, draws)

    fewer = training_view(array_of(picture()), plain, 16, draws[:THREE_AUGMENT])
    assert np.array_equal(view, fewer)
