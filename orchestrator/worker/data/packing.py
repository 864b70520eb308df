"""Packing files into shards: planned beforehand, in processes, taken up again after a kill.

Which file goes into which shard depends on the list of files alone, so every shard can be made on
its own. A finished shard has a record beside it in the temporary folder; a later preparation of the
same files finds both there, checks the shard against its record and goes on with the next. Two that
prepare the same at once write the same bytes, each under names of its own until they are whole.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from orchestrator.errors import DataError
from orchestrator.jobs.datasets import INDEX, MANIFEST, SPLITS, Manifest, Split
from orchestrator.jobs.files import TEMPORARY, publish_folder, sync_tree, to_json
from orchestrator.worker.data.census import Census
from orchestrator.worker.data.decode import Facts
from orchestrator.worker.data.digests import Content
from orchestrator.worker.data.index import save_index
from orchestrator.worker.data.keys import hash_of_key, shown
from orchestrator.worker.data.packed import File, Packed, ShardPlan, pack_shard
from orchestrator.worker.data.parallel import in_processes, processors
from orchestrator.worker.data.samples import About
from orchestrator.worker.data.shards import ShardLimits, refuse_the_taken, stored_size
from orchestrator.worker.data.tars import Entry
from orchestrator.worker.data.track import Track, silently

FORMAT = 1
"""Raised when the same files would give other shards than before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """How files are packed. ``track`` counts shards."""

    limits: ShardLimits = field(default_factory=ShardLimits)
    processes: int | None = None
    """None: one for each processor that this process may use."""
    skip_unreadable: bool = False
    track: Track = silently


USUAL = Packing()


def pack(
    data_root: Path,
    about: About,
    files: Iterable[File],
    options: Packing = USUAL,
) -> Manifest:
    """Store the files' images as dataset ``about.name``, in the order of their keys' hashes.

    Every image is decoded in full once. The result depends neither on the number of processes, nor
    on how often the preparation was killed on the way.

    Raises:
        DataError: there is such a dataset, a class would be empty, the disk takes no more, or
            images cannot be read and are not to be skipped; all of them are named.
    """
    path = data_root / about.name
    refuse_the_taken(path)
    plans = plan_shards(files, options.limits)
    processes = options.processes or processors()
    with _kept_when_killed(path, _mark(about, plans)) as folder:
        threads = -(-processes // max(1, len(plans)))
        work = partial(pack_shard, folder, threads)
        found = list(options.track(in_processes(work, plans, processes), len(plans)))
        faults = [line for packed in found for line in packed.left_out]
        if faults and not options.skip_unreadable:
            raise _unreadable(faults)
        manifest = finish(folder, about, found)
        sync_tree(folder)  # takes a while; killed in it, the records are still needed
        _remove_the_rest(folder, manifest)
    return manifest


def plan_shards(files: Iterable[File], limits: ShardLimits) -> list[ShardPlan]:
    """The files in the order of their keys' hashes, cut into shards by their sizes on the disk."""
    ordered = sorted(files, key=lambda file: hash_of_key(file.key))
    plans = []
    for split in SPLITS:
        shards = _cut([file for file in ordered if file.split == split], limits)
        plans += [
            ShardPlan(f"{split}-{number:05d}.tar", split, tuple(shard))
            for number, shard in enumerate(shards)
        ]
    return plans


def finish(folder: Path, about: About, found: Sequence[Packed]) -> Manifest:
    """Write index and manifest for shards that are in the folder.

    Raises:
        DataError: a class would be empty.
    """
    census = Census(about)
    entries: dict[Split, list[list[Entry]]] = {split: [] for split in SPLITS}
    for packed in found:
        if not packed.rows:
            continue
        split = packed.shard.split
        entries[split].append(packed.entries())
        for row in packed.rows:
            line = Content(row.key, about.classes[row.label], split, row.sha256)
            census.add(line, row.label, Facts("", row.width, row.height, row.grey))
    census.left_out += (line for packed in found for line in packed.left_out)
    census.refuse_gaps()
    save_index(folder, entries)
    manifest = census.manifest([packed.shard for packed in found if packed.rows])
    (folder / MANIFEST).write_bytes(to_json(manifest.model_dump(mode="json")))
    return manifest


def _cut(files: Sequence[File], limits: ShardLimits) -> Iterator[list[File]]:
    shard: list[File] = []
    room = limits.bytes
    for file in files:
        size = stored_size(len(str(file.label)), file.size())
        if shard and (len(shard) == limits.samples or room < size):
            yield shard
            shard, room = [], limits.bytes
        shard.append(file)
        room -= size
    if shard:
        yield shard


def _mark(about: About, plans: Sequence[ShardPlan]) -> str:
    """What tells this preparation from that of other files, for the temporary folder's name."""
    digest = hashlib.sha256(json.dumps([FORMAT, asdict(about)], default=str).encode())
    for plan in plans:
        for file in plan.files:
            line = [plan.file, shown(file.path), file.key, file.label, *_state(file.path)]
            digest.update(json.dumps(line).encode())
    return digest.hexdigest()[:12]


def _state(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


@contextmanager
def _kept_when_killed(path: Path, mark: str) -> Iterator[Path]:
    """A temporary folder of that mark, published in the end; what a killed one left is in it."""
    folder = path.with_name(f"{TEMPORARY}{path.name}-{mark}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        publish_folder(folder, path)
    except DataError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    except OSError as error:
        if path.exists():
            shutil.rmtree(folder, ignore_errors=True)
        refuse_the_taken(path)
        raise DataError(
            f"Dataset {path} could not be written: {error}. Its finished shards are kept in "
            f"{folder}, and the same command goes on from there. Make room first; or remove that "
            "folder, and choose another --data-root."
        ) from error


def _unreadable(faults: Sequence[str]) -> DataError:
    lines = "\n  ".join(sorted(faults))
    return DataError(
        f"{len(faults)} file(s) cannot be read as images:\n  {lines}\n"
        "Nothing was stored. Repair or remove them, or leave them out with: --skip-unreadable"
    )


def _remove_the_rest(folder: Path, manifest: Manifest) -> None:
    """Records, shards that were left without a sample, and what killed writers left."""
    kept = {MANIFEST, INDEX, *(shard.file for shard in manifest.shards)}
    for path in folder.iterdir():
        if path.name not in kept:
            path.unlink()
