"""Photo-like JPEGs, and folders of them in the layouts in which ImageNet comes."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SIZES = ((500, 375), (375, 500), (500, 333), (640, 480), (400, 300))  # usual in ImageNet


def photo(seed: int, size: tuple[int, int] | None = None) -> bytes:
    """A JPEG of smooth noise on several scales, which compresses about as photos do."""
    draw = np.random.default_rng(seed)
    width, height = size or SIZES[seed % len(SIZES)]
    layers = np.zeros((height, width, 3))
    for cells, weight in ((3, 1.0), (12, 0.5), (60, 0.2)):
        coarse = Image.fromarray(draw.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        layers += weight * np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
    buffer = io.BytesIO()
    Image.fromarray((layers / 1.7).astype(np.uint8)).save(buffer, format="JPEG", quality=90)
    return buffer.getvalue()


def imagenet_folder(
    top: Path,
    wnids: Sequence[str],
    counts: tuple[int, int],
    size: tuple[int, int] | None = None,
) -> Path:
    """``train/WNID/WNID_n.JPEG`` and ``val/WNID/ILSVRC2012_val_n.JPEG``, so many per class."""
    for number, wnid in enumerate(wnids):
        for split, count in zip(("train", "val"), counts, strict=True):
            folder = top / split / wnid
            folder.mkdir(parents=True)
            for n in range(count):
                seed = 2000 * number + n + (1000 if split == "val" else 0)
                stem = f"{wnid}_{n}" if split == "train" else f"ILSVRC2012_val_{seed:08d}"
                (folder / f"{stem}.JPEG").write_bytes(photo(seed, size))
    return top


def kaggle_folder(top: Path, imagenet: Path) -> Path:
    """The same images as Kaggle's ImageNet-100 lays them out."""
    wnids = sorted(path.name for path in (imagenet / "train").iterdir())
    for number, wnid in enumerate(wnids):
        parts = {"train": f"train.X{number % 4 + 1}", "val": "val.X"}
        for split, part in parts.items():
            (top / part).mkdir(parents=True, exist_ok=True)
            (top / part / wnid).symlink_to((imagenet / split / wnid).resolve())
    (top / "Labels.json").write_text(json.dumps(dict.fromkeys(wnids, "a name, its synonym")))
    return top
