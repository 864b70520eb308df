from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from orchestrator.config.data import DataConfig
from orchestrator.worker.data.augment import (
    DRAWS,
    FLIP,
    SHIFT_DOWN,
    SHIFT_RIGHT,
    Box,
    evaluation_view,
    random_box,
    training_view,
)
from orchestrator.worker.draws import uniforms

PLAIN = DataConfig(name="x")


def picture(width: int, height: int, channels: int = 3) -> NDArray[np.uint8]:
    return (uniforms((height, width, channels), "view") * 256).astype(np.uint8)


def draws(**places: float) -> NDArray[np.float64]:
    numbers = uniforms(DRAWS, "draws")
    for place, number in places.items():
        numbers[{"flip": FLIP, "down": SHIFT_DOWN, "right": SHIFT_RIGHT}[place]] = number
    return numbers


@pytest.mark.parametrize("size", [(8, 8), (20, 9), (9, 20), (3, 5), (1, 1), (8, 9), (301, 200)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("crop", ["center", "random_resized"])
def test_a_view_of_any_image_is_a_square_of_bytes(
    size: tuple[int, int], channels: int, crop: Literal["center", "random_resized"]
) -> None:
    data = DataConfig(name="x", crop=crop, flip=True, shift=2)

    view = training_view(picture(*size, channels), data, 8, draws())

    assert (view.shape, view.dtype) == ((channels, 8, 8), np.uint8)
    assert view.flags.c_contiguous
    assert view.flags.writeable


def test_an_image_of_the_right_size_is_not_touched() -> None:
    image = picture(8, 8)

    assert np.array_equal(evaluation_view(image, 8), image.transpose(2, 0, 1))
    assert np.array_equal(training_view(image, PLAIN, 8, draws()), evaluation_view(image, 8))


def test_the_evaluation_view_is_the_centre_of_the_shorter_side() -> None:
    image = picture(30, 8)

    assert np.array_equal(evaluation_view(image, 8), image.transpose(2, 0, 1)[:, :, 11:19])


@pytest.mark.parametrize(("flip", "step"), [(0.0, -1), (0.4999, -1), (0.5, 1)])
def test_half_of_the_images_are_mirrored(flip: float, step: int) -> None:
    image = picture(8, 8)
    view = training_view(image, DataConfig(name="x", flip=True), 8, draws(flip=flip))

    assert np.array_equal(view, evaluation_view(image, 8)[:, :, ::step])


def test_a_shift_moves_the_image_and_fills_with_black() -> None:
    image = picture(8, 8)
    still = evaluation_view(image, 8)
    data = DataConfig(name="x", shift=2)

    moved = training_view(image, data, 8, draws(down=0.999, right=0.0))

    assert np.array_equal(moved[:, 2:, :-2], still[:, :-2, 2:])
    assert not moved[:, :2].any()
    assert not moved[:, :, -2:].any()
    middle = training_view(image, data, 8, draws(down=0.5, right=0.5))
    assert np.array_equal(middle, still)


def test_a_shift_beyond_the_image_is_black() -> None:
    view = training_view(picture(8, 8), DataConfig(name="x", shift=99), 8, draws(down=0.0))

    assert not view.any()


sides = st.integers(1, 3000)


@given(sides, sides, st.integers(0, 10**6))
def test_a_random_box_lies_inside_the_image(width: int, height: int, number: int) -> None:
    left, top, right, bottom = random_box((width, height), uniforms(DRAWS, number))

    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


def test_random_boxes_have_the_areas_and_ratios_of_the_recipe() -> None:
    boxes = [random_box((500, 400), uniforms(DRAWS, "box", n)) for n in range(2000)]
    sizes = np.array([(right - left, bottom - top) for left, top, right, bottom in boxes])
    shares = sizes.prod(axis=1) / 200_000
    ratios = sizes[:, 0] / sizes[:, 1]

    assert shares.min() > 0.075
    assert ratios.min() > 0.74
    assert ratios.max() < 1.35
    assert 0.4 < np.median(shares) < 0.55  # below 0.54: the largest boxes rarely fit
    assert abs(np.log(ratios).mean()) < 0.03


@pytest.mark.parametrize(
    ("size", "box"),
    [
        ((100, 100), (0, 0, 100, 100)),
        ((300, 30), (130, 0, 170, 30)),
        ((30, 300), (0, 130, 30, 170)),
    ],
)
def test_when_no_try_fits_the_largest_centred_box_is_taken(size: tuple[int, int], box: Box) -> None:
    never = np.ones(DRAWS)  # the whole area at a ratio of 4:3

    assert random_box(size, never) == box
