"""Comparing every byte of a dataset with its manifest."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np

from orchestrator.errors import DataError
from orchestrator.jobs.datasets import SPLITS, Manifest, Shard
from orchestrator.worker.data.digests import Content, content_hash, layout_hash, sha256_of_file
from orchestrator.worker.data.foreign import labelled, scan_foreign
from orchestrator.worker.data.images import CorruptImage, SplitImages
from orchestrator.worker.data.index import COLUMNS, columns_of, load_index
from orchestrator.worker.data.parallel import in_processes, processors
from orchestrator.worker.data.tars import Entry, scan
from orchestrator.worker.data.track import Track, silently


def find_faults(data_root: Path, manifest: Manifest, *, track: Track = silently) -> list[str]:
    """Everything that is not as the manifest says; empty if the dataset is sound."""
    folder = data_root / manifest.name
    here = manifest.shards_here()
    shards = track(here, len(here))
    faults = [fault for shard in shards for fault in _shard_faults(folder, shard)]
    faults += _stray_faults(folder, manifest)
    if layout_hash(manifest.shards) != manifest.layout_hash:
        faults.append("the manifest's layout hash is not that of its shards")
    return faults or list(_content_faults(data_root, manifest))


def find_corrupt(
    data_root: Path, manifest: Manifest, processes: int | None = None, *, track: Track = silently
) -> list[str]:
    """The images that do not decode, as SHARD/KEY: REASON; every image is decoded, nothing written.

    Raises:
        DataError: the index or a shard cannot be read.
    """
    work = partial(_corrupt_of, data_root, manifest)
    here = manifest.shards_here()
    found = in_processes(work, here, processes or processors())
    return [line for lines in track(found, len(here)) for line in lines]


def _corrupt_of(data_root: Path, manifest: Manifest, shard: Shard) -> list[str]:
    index = load_index(data_root, manifest, shard.split)
    lines = []
    with closing(SplitImages(index)) as images:
        for at in np.flatnonzero(index.shard == index.shard_files.index(shard.file)).tolist():
            try:
                images.image(at)
            except CorruptImage as error:
                lines.append(f"{shard.file}/{index.name(at)}: {error.reason}")
    return lines


def _shard_faults(folder: Path, shard: Shard) -> Iterator[str]:
    path = folder / shard.file
    try:
        size, digest = path.stat().st_size, sha256_of_file(path)
    except OSError as error:
        yield f"{path}: {error.strerror}"
        return
    if size != shard.bytes:
        yield f"{path} has {size} bytes, not {shard.bytes}"
    elif digest != shard.sha256:
        yield f"{path} has sha256 {digest}, not {shard.sha256}"


def _stray_faults(folder: Path, manifest: Manifest) -> Iterable[str]:
    known = {shard.file for shard in manifest.shards_here()}
    return [
        f"{p} is not in the manifest" for p in sorted(folder.glob("*.tar")) if p.name not in known
    ]


def _content_faults(data_root: Path, manifest: Manifest) -> Iterator[str]:
    """Faults of the index and the content, looked for once the shards are known to be sound.

    Of a dataset whose training shards are elsewhere nothing: it takes all of them to tell.
    """
    if manifest.remote:
        return
    lines: list[Content] = []
    for split in SPLITS:
        try:
            index = load_index(data_root, manifest, split)
            entries = [_entries(index.folder, file, manifest) for file in index.shard_files]
        except DataError as error:
            yield str(error)
            return
        columns = columns_of(entries)
        if any(not np.array_equal(columns[name], getattr(index, name)) for name in COLUMNS):
            yield f"the index of split {split} does not say where the samples of its shards lie"
            return
        images = SplitImages(index)
        lines += (
            Content.of(index.name(at), manifest.classes[index.label[at]], split, images.blob(at))
            for at in range(len(index))
        )
        images.close()
    if content_hash(lines) != manifest.content_hash:
        yield "the images, keys or classes are not those of the manifest's content hash"


def _entries(folder: Path, file: str, manifest: Manifest) -> list[Entry]:
    """The samples of a shard, but for those of another tool's tar that were left out."""
    if manifest.members is None:
        return scan(folder / file)
    found = labelled(scan_foreign(folder / file, manifest.members), manifest.classes)
    left_out = [line for line in manifest.left_out if line.startswith(f"{file}/")]
    return [e for e in found if not any(line.startswith(f"{file}/{e.key}: ") for line in left_out)]
