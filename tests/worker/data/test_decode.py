import io
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from orchestrator.worker.data import decode
from orchestrator.worker.data.decode import UNREADABLE, Scratch, pixels
from orchestrator.worker.draws import uniforms

SIZES = [(64, 48), (37, 53), (8, 8), (1, 1), (129, 17)]
QUALITIES = (10, 75, 95)
SUBSAMPLINGS = (0, 1, 2)  # 4:4:4, 4:2:2, 4:2:0
KINDS = ({}, {"progressive": True}, {"restart_marker_blocks": 2}, {"exif": b"Exif\0\0MM\0*"})


def picture(size: tuple[int, int], seed: int = 0) -> Image.Image:
    """Colours that change smoothly, with noise on them."""
    coarse = (uniforms((6, 6, 3), "coarse", seed) * 255).astype(np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC), np.float64)
    noise = uniforms(smooth.shape, "noise", seed) * 30 - 15
    return Image.fromarray((smooth + noise).clip(0, 255).astype(np.uint8))


def jpeg(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def by_pillow(blob: bytes, mode: str = "RGB") -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(blob)) as image:
        array = np.asarray(image.convert(mode))
    return array.reshape(*array.shape[:2], -1)


@pytest.mark.parametrize("size", SIZES)
def test_an_ordinary_jpeg_has_the_bits_that_pillow_gives_it(size: tuple[int, int]) -> None:
    scratch = Scratch()
    for n, (quality, sampling, kind) in enumerate(product(QUALITIES, SUBSAMPLINGS, KINDS)):
        blob = jpeg(picture(size, n), quality=quality, subsampling=sampling, **kind)

        assert decode._turbo(blob, 3, scratch) is not None
        assert np.array_equal(pixels(blob, 3, scratch), by_pillow(blob))
        assert np.array_equal(pixels(blob, 1, scratch), by_pillow(blob, "L"))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_grey_jpeg_has_the_bits_that_pillow_gives_it(channels: int) -> None:
    blob = jpeg(picture((40, 30)).convert("L"))

    assert decode._turbo(blob, channels, Scratch()) is not None
    assert np.array_equal(pixels(blob, channels), by_pillow(blob, decode.MODES[channels]))


@pytest.mark.parametrize(
    "blob",
    [
        jpeg(picture((20, 10)).convert("CMYK")),
        jpeg(picture((20, 10)), keep_rgb=True),
        jpeg(picture((20, 10))) + b"\0" * 9,
    ],
    ids=["cmyk", "rgb", "with more at its end"],
)
def test_other_jpegs_are_as_pillow_reads_them(blob: bytes) -> None:
    assert np.array_equal(pixels(blob, 3), by_pillow(blob))


def test_a_damaged_jpeg_is_refused_or_read_as_pillow_does_it() -> None:
    blobs = [jpeg(picture((50, 40), n), progressive=n % 2 == 1) for n in range(4)]
    fast = refused = 0
    for n in range(1500):
        blob = bytearray(blobs[n % 4])
        where, value, cut = uniforms(3, "damage", n).tolist()
        blob[2 + int(where * (len(blob) - 2))] = int(value * 256)
        damaged = bytes(blob[: int(cut * 2 * len(blob))])  # every other one is truncated
        try:
            wanted = by_pillow(damaged)
        except UNREADABLE:
            refused += 1
            with pytest.raises(UNREADABLE):
                pixels(damaged, 3)
            continue
        fast += decode._turbo(damaged, 3, Scratch()) is not None
        assert np.array_equal(pixels(damaged, 3), wanted)

    assert fast > 100
    assert refused > 100


def test_without_simplejpeg_pillow_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    blob = jpeg(picture((50, 40)))
    wanted = pixels(blob, 3)

    monkeypatch.setattr(decode, "decode_jpeg", None)

    assert np.array_equal(pixels(blob, 3), wanted)


def test_an_image_beyond_pillows_limit_is_left_to_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    blob = jpeg(picture((50, 40)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 900)

    with pytest.raises(Image.DecompressionBombError):
        pixels(blob, 3)


def test_a_scratch_grows_with_its_images_and_gives_each_its_own_size() -> None:
    scratch = Scratch()
    for size in [(10, 8), (60, 50), (9, 9)]:
        blob = jpeg(picture(size))

        assert np.array_equal(pixels(blob, 3, scratch), by_pillow(blob))
