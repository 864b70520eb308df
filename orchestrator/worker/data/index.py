"""The index of a split: key, label, shard, offset and size of every image."""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.errors import DataError
from orchestrator.jobs.datasets import INDEX, Manifest, Split
from orchestrator.worker.data.keys import hash_of_key
from orchestrator.worker.data.tars import Entry

COLUMNS = {
    "key": np.bytes_,
    "label": np.int64,
    "shard": np.int64,
    "offset": np.int64,
    "size": np.int64,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Index:
    """Where the images of one split lie. A sample's *position* is its row here."""

    dataset: str
    folder: Path
    split: Split
    channels: int
    shard_files: tuple[str, ...]
    key: NDArray[np.bytes_]
    label: NDArray[np.int64]
    shard: NDArray[np.int64]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.key)

    def name(self, position: int) -> str:
        """The key of a sample."""
        return bytes(self.key[position]).decode()


def columns_of(shards: Sequence[Sequence[Entry]]) -> dict[str, NDArray[Any]]:
    """The index's columns for the shards of one split, in order."""
    rows = [(e.key.encode(), e.label, n, e.offset, e.size) for n, s in enumerate(shards) for e in s]
    columns = list(zip(*rows, strict=True)) or [() for _ in COLUMNS]
    return {
        name: np.array(column, dtype=kind)
        for (name, kind), column in zip(COLUMNS.items(), columns, strict=True)
    }


def save_index(folder: Path, splits: Mapping[Split, Sequence[Sequence[Entry]]]) -> None:
    """Write the index of a new dataset into its folder."""
    arrays = {
        f"{split}_{name}": column
        for split, shards in splits.items()
        for name, column in columns_of(shards).items()
    }
    np.savez(folder / INDEX, allow_pickle=False, **arrays)


def load_index(data_root: Path, manifest: Manifest, split: Split) -> Index:
    """The index of a split, checked against the manifest.

    Raises:
        DataError: it is missing, damaged, or not the index of these shards.
    """
    path = data_root / manifest.name / INDEX
    try:
        with np.load(path, allow_pickle=False) as arrays:
            columns = {
                name: arrays[f"{split}_{name}"].astype(kind, casting="safe", copy=False)
                for name, kind in COLUMNS.items()
            }
    except (OSError, ValueError, TypeError, LookupError, EOFError, zipfile.BadZipFile) as error:
        raise _damaged(path, manifest, str(error)) from None
    shards = [shard for shard in manifest.shards if shard.split == split]
    fault = _contradiction(columns, manifest, split)
    if fault:
        raise _damaged(path, manifest, fault)
    return Index(
        dataset=manifest.name,
        folder=data_root / manifest.name,
        split=split,
        channels=manifest.channels,
        shard_files=tuple(shard.file for shard in shards),
        **columns,
    )


def probe_positions(index: Index, images: int) -> NDArray[np.int64]:
    """The fixed probe batch: equally many images per class, those with the smallest key hashes.

    Classes take turns, so a number that is not a multiple of the classes is filled up by the
    smallest hashes of the next turn, and a class that is used up is passed over. All images, if
    there are fewer than asked for.
    """
    names = [index.name(position) for position in range(len(index))]
    return balanced_positions(names, index.label.tolist(), images)


def balanced_positions(
    names: Sequence[str], labels: Sequence[int], images: int
) -> NDArray[np.int64]:
    """Positions of so many of the named images, by the rule of `probe_positions`."""
    hashes = [hash_of_key(name) for name in names]
    turns: dict[int, int] = {}
    queue = []
    for position in sorted(range(len(names)), key=hashes.__getitem__):
        label = labels[position]
        turns[label] = turns.get(label, -1) + 1
        queue.append((turns[label], hashes[position], position))
    return np.array([position for _, _, position in sorted(queue)[:images]], dtype=np.int64)


def labels_by_class(labels: NDArray[np.int64], classes: int) -> list[int]:
    """Number of images of each class."""
    return [int(count) for count in np.bincount(labels, minlength=classes)]


def _contradiction(
    columns: Mapping[str, NDArray[Any]], manifest: Manifest, split: Split
) -> str | None:
    """How an index contradicts the manifest beside it, or None."""
    shards = [shard for shard in manifest.shards if shard.split == split]
    if {column.shape for column in columns.values()} != {(manifest.images(split),)}:
        return f"it does not list the {manifest.images(split)} {split} images of the manifest"
    if labels_by_class(columns["label"], len(manifest.classes)) != manifest.counts[split]:
        return f"its labels of split {split} are not those of the manifest"
    per_shard = np.bincount(columns["shard"], minlength=len(shards))
    if per_shard.tolist() != [shard.samples for shard in shards]:
        return f"its shards of split {split} are not those of the manifest"
    ends = columns["offset"] + columns["size"]
    sizes = np.array([shard.bytes for shard in shards], dtype=np.int64)
    if (columns["offset"] < 0).any() or (ends > sizes[columns["shard"]]).any():
        return f"it points beyond the end of a {split} shard"
    return None


def _damaged(path: Path, manifest: Manifest, fault: str) -> DataError:
    return DataError(
        f"The index {path} of dataset '{manifest.name}' is damaged: {fault}. "
        f"Remove {path.parent} and prepare it again."
    )
