"""Photo-like JPEGs, the same ones every time, of ImageNet's usual size."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

LAYERS = {2: 60, 5: 35, 12: 25, 40: 14, 120: 9}
"""Cells across the picture, and how many levels their colours differ by, each way."""
SHAPES = 30
GRAIN = (3.0, 11.0)  # standard deviation in levels; it decides most of a file's size
QUALITY = 90


def photo(number: int, width: int = 500, height: int = 375) -> bytes:
    """Smooth colours at several scales, shapes with sharp edges, grain; a JPEG of about 90 kB."""
    chance = np.random.Generator(np.random.Philox(key=number))
    canvas = np.full((height, width, 3), 128, np.float32)
    for cells, levels in LAYERS.items():
        canvas += _layer(chance, cells, levels, (width, height))
    image = Image.fromarray(canvas.clip(0, 255).astype(np.uint8))
    _draw_shapes(image, chance)
    light = chance.normal(0, chance.uniform(*GRAIN), (height, width, 1))
    grain = light + chance.normal(0, 1.5, (height, width, 3))
    buffer = io.BytesIO()
    pixels = (np.asarray(image) + grain).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def _layer(
    chance: np.random.Generator, cells: int, levels: int, size: tuple[int, int]
) -> NDArray[np.float32]:
    coarse = chance.uniform(-levels, levels, (3, cells * size[1] // size[0] + 2, cells + 2))
    channels = [
        np.asarray(Image.fromarray(one).resize(size, Image.Resampling.BICUBIC))
        for one in coarse.astype(np.float32)
    ]
    return np.stack(channels, axis=2)


def _draw_shapes(image: Image.Image, chance: np.random.Generator) -> None:
    pen = ImageDraw.Draw(image)
    for _ in range(SHAPES):
        x, y = (int(chance.integers(side)) for side in image.size)
        right, lower = x + int(chance.integers(10, 90)), y + int(chance.integers(10, 90))
        colour = tuple(chance.integers(0, 256, 3).tolist())
        draw = pen.ellipse if chance.random() < 0.5 else pen.rectangle
        fill = colour if chance.random() < 0.3 else None
        draw((x, y, right, lower), outline=colour, width=int(chance.integers(1, 4)), fill=fill)
