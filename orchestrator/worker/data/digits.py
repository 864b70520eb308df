"""The handwritten digits that come with scikit-learn: real images for a machine without network.

1,797 grey images of 8 x 8 pixels, 10 classes. Their values 0-16 are scaled to 0-255 and rounded;
the images are named ``digit-0000`` to ``digit-1796`` in scikit-learn's order. Two sets to evaluate
on are made of those that are held out, as ImageNet-A and ImageNet-R stand beside ImageNet: the ones
that a simple classifier mistakes, and all of them in another place.
"""

import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
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
STEPS = ((-1, 0), (0, 1), (1, 0), (0, -1))
"""Rows and columns by which digits are moved."""


def prepare_digits(
    data_root: Path, name: str, *, images: str = "all", track: Track = silently
) -> Manifest:
    """Store the digits, or one of the sets to evaluate on, as dataset ``name``.

    Args:
        data_root: folder of the datasets.
        name: the dataset's.
        images: a name of `SETS`.
        track: is told of the progress.

    Raises:
        DataError: scikit-learn is not installed, or there is such a dataset.
    """
    what, choose = SETS[images]
    samples, classes = _with_classes(choose())
    about = About(
        name=name,
        source=what,
        split_rule=validation_rule(VAL_SHARE),
        classes=classes,
        only_val=images != "all",
    )
    return write_dataset(data_root, about, track(samples, len(samples)))


def digits_hash(images: str = "all") -> str:
    """The content hash of a dataset of the digits, or of one of the sets to evaluate on."""
    samples, classes = _with_classes(SETS[images][1]())
    return content_hash(
        Content.of(sample.key, classes[sample.label], sample.split, sample.image_bytes)
        for sample in samples
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


def hard_digits() -> list[Sample]:
    """The held-out digits that are nearer to the mean of another class than to that of their own.

    As ImageNet-A has the images that a ResNet-50 mistakes (Hendrycks et al., CVPR 2021). Means are
    of the training digits, distances Euclidean.
    """
    pixels, labels = _load()
    samples = digit_samples()
    trained = np.array([sample.split == "train" for sample in samples])
    flat = pixels.reshape(len(pixels), -1).astype(np.int64)
    of_class = [trained & (labels == label) for label in range(len(CLASSES))]
    counts = np.array([one.sum() for one in of_class])[:, None]
    sums = np.stack([flat[one].sum(axis=0) for one in of_class])
    # In whole numbers, so that no machine rounds otherwise: |count x - sum|^2 / count^2.
    distances = [((counts[k] * flat - sums[k]) ** 2).sum(axis=1) for k in range(len(CLASSES))]
    nearest = (np.stack(distances, axis=1) / counts.T.astype(np.float64) ** 2).argmin(axis=1)
    return [
        sample
        for sample, found in zip(samples, nearest, strict=True)
        if sample.split == "val" and found != sample.label
    ]


def moved_digits() -> list[Sample]:
    """The held-out digits, each moved by a pixel up, right, down or left, in turn."""
    pixels, samples = _load()[0], digit_samples()
    held_out = [n for n, sample in enumerate(samples) if sample.split == "val"]
    return [
        replace(samples[n], image_bytes=grey_png(_moved(pixels[n], *STEPS[turn % len(STEPS)])))
        for turn, n in enumerate(held_out)
    ]


SETS: Mapping[str, tuple[str, Callable[[], list[Sample]]]] = {
    "all": ("scikit-learn load_digits", digit_samples),
    "hard": ("scikit-learn load_digits, held out and mistaken by the nearest mean", hard_digits),
    "moved": ("scikit-learn load_digits, held out and moved by a pixel", moved_digits),
}
"""What each set is called in its manifest, and its images."""


def _with_classes(samples: list[Sample]) -> tuple[list[Sample], tuple[str, ...]]:
    """The samples, labelled by their places among the classes that have any."""
    there = sorted({sample.label for sample in samples})
    classes = tuple(CLASSES[label] for label in there)
    return [replace(sample, label=there.index(sample.label)) for sample in samples], classes


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


def _moved(pixels: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.uint8]:
    """The image so many pixels further down and right; what comes in is black."""
    height, width = pixels.shape
    wider = np.pad(pixels, 1)
    return wider[1 - rows : 1 - rows + height, 1 - columns : 1 - columns + width]


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
