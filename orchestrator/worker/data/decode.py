"""Bytes of an image file to pixels."""

import io
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

# What Pillow raises for a file that is not, or not all of, an image.
UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
STORED = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png"}
"""Formats kept byte for byte. MPO is what Pillow calls a camera's JPEG with a preview appended."""
READ = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
GREY = ("1", "L", "LA", "La")
SIXTEEN_BIT = "I;16"  # and its variants by byte order
MODES = {1: "L", 3: "RGB"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What the header of an image says."""

    format: str
    width: int
    height: int
    grey: bool


def facts_of(blob: bytes) -> Facts:
    """Read the header only.

    Raises:
        UNREADABLE: this is no image, or of a kind that cannot be trained on.
    """
    with Image.open(io.BytesIO(blob), formats=READ) as image:
        return _facts(image)


def pixels(blob: bytes, channels: int) -> Image.Image:
    """The whole image as 8-bit grey (1 channel) or RGB (3).

    Of an animation the first frame, of transparency the colours beneath, of 16 bits the upper 8;
    a camera's orientation tag is not followed (the usual ImageNet pipelines ignore it too).

    Raises:
        UNREADABLE: this is no image, or its end is missing.
    """
    with Image.open(io.BytesIO(blob), formats=READ) as image:
        _facts(image)
        image.load()
        return _in_channels(image, channels)


def storable(blob: bytes) -> tuple[bytes, str]:
    """Decode once in full; the bytes to store and their suffix.

    JPEG and PNG are kept as they are; anything else is encoded anew, without loss, as PNG.

    Raises:
        UNREADABLE: this is no image, or its end is missing.
    """
    facts = facts_of(blob)
    image = pixels(blob, 1 if facts.grey else 3)
    if facts.format in STORED:
        return blob, STORED[facts.format]
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue(), "png"


def fault_of(error: Exception) -> str:
    """One of ``UNREADABLE`` in words that are the same every time."""
    if isinstance(error, UnidentifiedImageError):  # its own words hold a memory address
        return "not an image of a known format"
    return str(error) or type(error).__name__


def _facts(image: Image.Image) -> Facts:
    mode = image.mode
    grey = mode in GREY or mode.startswith(SIXTEEN_BIT)
    if mode in {"I", "F"}:
        raise ValueError(f"its pixels are 32-bit numbers (mode {mode}), not 8 or 16 bits")
    return Facts(str(image.format), image.width, image.height, grey)


def _in_channels(image: Image.Image, channels: int) -> Image.Image:
    if image.mode.startswith(SIXTEEN_BIT):  # Pillow's own conversion clips at 255
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode == "P" and "transparency" in image.info:  # Pillow warns on the direct way
        image = image.convert("RGBA")
    return image.convert(MODES[channels])
