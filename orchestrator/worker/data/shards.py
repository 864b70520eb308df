"""Writing a dataset: samples into tars, an index and a manifest, published as one folder."""

import errno
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from webdataset import TarWriter

from orchestrator.errors import DataError
from orchestrator.jobs.datasets import MANIFEST, SPLITS, Manifest, Shard, Split
from orchestrator.jobs.files import publishing_folder, to_json
from orchestrator.worker.data.census import Census
from orchestrator.worker.data.digests import sha256_of_file
from orchestrator.worker.data.index import save_index
from orchestrator.worker.data.samples import About, LeftOut, Sample
from orchestrator.worker.data.tars import LABEL, Entry, scan

TAR_BLOCK = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardLimits:
    """A shard is full when the next sample would exceed either."""

    samples: int = 10_000
    bytes: int = 512 * 2**20


def write_dataset(
    data_root: Path,
    about: About,
    samples: Iterable[Sample | LeftOut],
    limits: ShardLimits = ShardLimits(),
) -> Manifest:
    """Store the samples as dataset ``about.name`` under the data root.

    The same samples in the same order give the same files, byte for byte. Whatever goes wrong
    on the way, a kill included, no folder of that name is left.

    Raises:
        DataError: there is such a dataset, a class would be empty, or the disk takes no more.
    """
    with new_folder(data_root / about.name) as folder:
        census = Census(about)
        files = _fill_shards(folder, census.counted(samples), limits)
        census.refuse_gaps()
        entries = {split: [scan(folder / file) for file in files[split]] for split in SPLITS}
        save_index(folder, entries)
        shards = [
            _describe(folder / file, split, found)
            for split in SPLITS
            for file, found in zip(files[split], entries[split], strict=True)
        ]
        manifest = census.manifest(shards)
        (folder / MANIFEST).write_bytes(to_json(manifest.model_dump(mode="json")))
    return manifest


def refuse_the_taken(path: Path) -> None:
    """Make sure that a dataset can be put there.

    Raises:
        DataError: something is there.
    """
    if path.exists() or path.is_symlink():
        raise _taken(path)


@contextmanager
def tar_writer(path: Path) -> Iterator[TarWriter]:
    """Writes samples to a new tar; the same samples give the same bytes."""
    with path.open("xb") as file, TarWriter(file, encoder=False, mtime=0) as tar:
        yield tar


def stored_size(*members: int) -> int:
    """Bytes that members of these sizes take in a tar."""
    return sum(TAR_BLOCK + -size % TAR_BLOCK + size for size in members)


def _taken(path: Path) -> DataError:
    return DataError(
        f"There is already something at {path}; a dataset is never overwritten. "
        "Remove it, or choose another --name."
    )


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill with a dataset, which is published in the end, or else removed.

    Raises:
        DataError: something is at ``path``, or the disk takes no more.
    """
    refuse_the_taken(path)
    try:
        with publishing_folder(path) as folder:
            yield folder
    except OSError as error:
        if error.errno in {errno.EEXIST, errno.ENOTDIR}:
            raise _taken(path) from None
        raise DataError(
            f"Dataset {path} could not be written: {error}. Nothing of it was kept; make room, "
            "or choose another --data-root."
        ) from error


def _fill_shards(
    folder: Path, samples: Iterable[Sample], limits: ShardLimits
) -> dict[Split, list[str]]:
    with ExitStack() as stack:
        tars = {s: stack.enter_context(closing(_Shards(folder, s, limits))) for s in SPLITS}
        for sample in samples:
            tars[sample.split].add(sample)
    return {split: tars[split].files for split in SPLITS}


class _Shards:
    """The tars of one split, filled one after the other."""

    def __init__(self, folder: Path, split: Split, limits: ShardLimits) -> None:
        self.files: list[str] = []
        self._folder, self._split, self._limits = folder, split, limits
        self._room = ShardLimits(samples=0, bytes=0)
        self._open = ExitStack()

    def add(self, sample: Sample) -> None:
        label = str(sample.label).encode()
        size = stored_size(len(label), len(sample.image_bytes))
        if self._room.samples < 1 or self._room.bytes < size:
            self._start_next()
        self._tar.write({"__key__": sample.key, LABEL: label, sample.suffix: sample.image_bytes})
        self._room = ShardLimits(samples=self._room.samples - 1, bytes=self._room.bytes - size)

    def close(self) -> None:
        self._open.close()

    def _start_next(self) -> None:
        self.close()
        self.files.append(f"{self._split}-{len(self.files):05d}.tar")
        self._tar = self._open.enter_context(tar_writer(self._folder / self.files[-1]))
        self._room = self._limits


def _describe(path: Path, split: Split, entries: list[Entry]) -> Shard:
    return Shard(
        file=path.name,
        split=split,
        samples=len(entries),
        bytes=path.stat().st_size,
        sha256=sha256_of_file(path),
    )
