"""A dataset to evaluate on: digits in negative, of some of the classes, and of one more."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from orchestrator.worker.data.digits import CLASSES, digit_samples, grey_png
from orchestrator.worker.data.samples import About, Sample
from orchestrator.worker.data.shards import write_dataset

NAME = "negatives"
SHARED = ("3", "5", "9")


def prepare_altered(data_root: Path, name: str = NAME, shared: tuple[str, ...] = SHARED) -> None:
    """Of each shared class the validation digits in negative; ones as a class that is new."""
    classes = (*shared, "new")
    label = {CLASSES.index(one): number for number, one in enumerate(shared)} | {1: len(shared)}
    samples = [
        replace(sample, label=label[sample.label], image_bytes=_negative(sample))
        for sample in digit_samples()
        if sample.split == "val" and sample.label in label
    ]
    about = About(
        name=name, source="digits in negative", split_rule="all", classes=classes, only_val=True
    )
    write_dataset(data_root, about, samples)


def _negative(sample: Sample) -> bytes:
    pixels = np.asarray(Image.open(io.BytesIO(sample.image_bytes)))
    return grey_png(255 - pixels)
