import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from orchestrator.worker.data import resize
from orchestrator.worker.data.resize import Box, resized
from orchestrator.worker.draws import uniforms


def noise(width: int, height: int, channels: int = 3) -> NDArray[np.uint8]:
    """Full of 0 and 255, so that sums leave the range of a byte."""
    drawn = uniforms((height, width, channels), "noise", width, height)
    return (drawn * 1024 - 384).clip(0, 255).astype(np.uint8)


def by_pillow(image: NDArray[np.uint8], box: Box, size: tuple[int, int]) -> NDArray[np.uint8]:
    whole = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    done = np.asarray(whole.crop(box).resize(size, Image.Resampling.BICUBIC))
    return done.reshape(*done.shape[:2], image.shape[2]).transpose(2, 0, 1)


def drawn(n: int) -> tuple[NDArray[np.uint8], Box, tuple[int, int]]:
    """An image, a box of it and a size: enlarged, reduced, much higher than wide, of one pixel."""
    width, height, left, upper, right, lower, w, h = uniforms(8, "case", n).tolist()
    width, height = 1 + int(width * 260), 1 + int(height * 260)
    x, y = int(left * width), int(upper * height)
    box = (x, y, x + 1 + int(right * (width - x)), y + 1 + int(lower * (height - y)))
    return noise(width, height), box, (1 + int(w * 90), 1 + int(h * 90))


def test_the_compiled_resize_gives_pillows_bits() -> None:
    assert resize._kernel() is not None
    for n in range(600):
        image, box, size = drawn(n)
        wanted = by_pillow(image, box, size)

        assert np.array_equal(resized(image, box, size), wanted)
        assert np.array_equal(resized(image, box, size, mirror=True), wanted[:, :, ::-1])


@pytest.mark.parametrize("channels", [1, 3])
def test_without_numba_pillow_gives_the_same(
    monkeypatch: pytest.MonkeyPatch, channels: int
) -> None:
    monkeypatch.setattr(resize, "_kernel", lambda: None)
    image = noise(60, 45, channels)
    for box in [(3, 5, 50, 40), (10, 10, 30, 26)]:
        for mirror in (False, True):
            view = resized(image, box, (20, 16), mirror=mirror)

            wanted = by_pillow(image, box, (20, 16))
            assert np.array_equal(view, wanted[:, :, ::-1] if mirror else wanted)
            assert view.flags.c_contiguous


def test_what_lies_outside_the_box_changes_nothing() -> None:
    image = noise(60, 45)
    once = resized(image, (10, 10, 40, 40), (24, 24))
    image[:10], image[40:], image[:, :10], image[:, 40:] = 0, 0, 0, 0

    assert np.array_equal(resized(image, (10, 10, 40, 40), (24, 24)), once)


def test_a_view_is_not_tied_to_the_image_it_was_made_of() -> None:
    image = noise(30, 30)
    view = resized(image, (0, 0, 20, 20), (20, 20))
    image[:] = 7

    assert not (view == 7).all()
