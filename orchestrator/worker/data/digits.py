"""The handwritten digits that come with scikit-learn: real images for a machine without network.

1,797 grey images of 8 x 8 pixels, 10 classes. Their values 0-16 are scaled to 0-255 and rounded;
the images are named ``digit-0000`` to ``digit-1796`` in scikit-learn's order.
"""

import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orchestrator.errors import DataError
from orchestrator.jobs.datasets import Manifest
from orchestrator.worker.data.digests import Content, content_hash
from orchestrator.worker.data.keys import validation_keys, validation_rule
from orchestrator.worker.data.samples import About, Sample
from orchestrator.worker.data.shards import write_dataset
from orchestrator.worker.data.track import Track, silently

CLASSES = tuple("0123456789")
VAL_SHARE = 0.25
LARGEST_VALUE = 16


def prepare_digits(data_root: Path, name: str, *, track: Track = silently) -> Manifest:
    """Store the digits as dataset ``name``.

    Raises:
        DataError: scikit-learn is not installed, or there is such a dataset.
    """
    samples = digit_samples()
    about = About(
        name=name,
        source="scikit-learn load_digits",
        split_rule=validation_rule(VAL_SHARE),
        classes=CLASSES,
    )
    return write_dataset(data_root, about, track(samples, len(samples)))


def digits_hash() -> str:
    """The content hash of a dataset of the digits."""
    return content_hash(
        Content.of(sample.key, CLASSES[sample.label], sample.split, sample.image_bytes)
        for sample in digit_samples()
    )


def digit_samples() -> list[Sample]:
    """The digits in scikit-learn's order, as they are stored.

    Raises:
        DataError: scikit-learn is not installed.
    """
    images, labels = _load()
    keys = [f"digit-{n:04d}" for n in range(len(images))]
    val: set[str] = set()
    for label in range(len(CLASSES)):
        of_class = [key for key, other in zip(keys, labels, strict=True) if other == label]
        val |= validation_keys(of_class, VAL_SHARE)
    return [
        Sample(key, "val" if key in val else "train", int(label), grey_png(image), "png")
        for key, label, image in zip(keys, labels, images, strict=True)
    ]


def grey_png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG of at most 64 KiB of grey pixels (H, W), without compression.

    Compressors differ between versions, and the bytes are part of the dataset's content hash.
    """
    height, width = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)  # each row: no filter, its pixels
    size = struct.pack("<HH", len(rows), len(rows) ^ 0xFFFF)
    stored = b"\x78\x01\x01" + size + rows + struct.pack(">I", zlib.adler32(rows))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", stored), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def _load() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    try:
        from sklearn.datasets import load_digits  # noqa: PLC0415 - an extra, and slow
    except ModuleNotFoundError:
        raise DataError(
            "The digits come with scikit-learn, which is not installed. "
            "Install it with: pip install 'orchestrate-vit[digits]'"
        ) from None
    found = load_digits()
    values = np.rint(found.images * (255 / LARGEST_VALUE)).astype(np.uint8)
    return values, found.target.astype(np.int64)
