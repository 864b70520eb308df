"""Bytes of an image file to pixels."""

import io
import struct
import zlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

try:
    from simplejpeg import decode_jpeg, decode_jpeg_header
except ImportError:  # Pillow then decodes everything: the same pixels, later
    decode_jpeg = decode_jpeg_header = None

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
JPEG = b"\xff\xd8\xff"
TURBO = {("Gray", 1): "GRAY", ("Gray", 3): "RGB", ("YCbCr", 3): "RGB"}
"""Of a JPEG's colours and the channels asked for, those of which simplejpeg gives Pillow's bits."""

Picture = NDArray[np.uint8]
"""A decoded image: (height, width, 1 or 3)."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the header of an image says."""

    format: str
    width: int
    height: int
    grey: bool


@dataclass(slots=True)
class Scratch:
    """Memory that images are decoded into one after the other: fresh pages cost a quarter more."""

    bytes: Picture = field(default_factory=lambda: np.empty(0, np.uint8))

    def room(self, size: int) -> Picture:
        if len(self.bytes) < size:
            self.bytes = np.empty(size, np.uint8)
        return self.bytes


def facts_of(blob: bytes) -> Facts:
    """Read the header only.

    Raises:
        UNREADABLE: this is no image, or of a kind that cannot be trained on.
    """
    with Image.open(io.BytesIO(blob), formats=READ) as image:
        return _facts(image)


def pixels(blob: bytes, channels: int, scratch: Scratch | None = None) -> Picture:
    """The whole image as 8-bit grey (1 channel) or RGB (3).

    Of an animation the first frame, of transparency the colours beneath, of 16 bits the upper 8;
    a camera's orientation tag is not followed (the usual ImageNet pipelines ignore it too). With
    ``scratch``, the pixels may lie there, and then hold until it is used again.

    Raises:
        UNREADABLE: this is no image, or its end is missing.
    """
    decoded = _turbo(blob, channels, scratch or Scratch())
    if decoded is None:
        decoded = np.asarray(_pillow(blob, channels))
    return decoded.reshape(*decoded.shape[:2], channels)


def storable(blob: bytes) -> tuple[bytes, str]:
    """Decode once in full; the bytes to store and their suffix.

    JPEG and PNG are kept as they are; anything else is encoded anew, without loss, as PNG.

    Raises:
        UNREADABLE: this is no image, or its end is missing.
    """
    facts = facts_of(blob)
    image = _pillow(blob, 1 if facts.grey else 3)
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


def _turbo(blob: bytes, channels: int, scratch: Scratch) -> Picture | None:
    """The pixels of an ordinary JPEG; None: Pillow decides, on whatever gives as much as a warning.

    Both decode with libjpeg-turbo, with its accurate DCT and smooth upsampling.
    """
    if decode_jpeg is None or not blob.startswith(JPEG):
        return None
    try:
        height, width, colours, _ = decode_jpeg_header(blob)
        wanted = TURBO.get((colours, channels))
        if wanted is None or height * width > (Image.MAX_IMAGE_PIXELS or 0):
            return None
        room = scratch.room(height * width * channels)
        decoded: Picture = decode_jpeg(blob, wanted, buffer=room)
    except ValueError:
        return None
    return decoded


def _pillow(blob: bytes, channels: int) -> Image.Image:
    with Image.open(io.BytesIO(blob), formats=READ) as image:
        _facts(image)
        image.load()
        return _in_channels(image, channels)


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
