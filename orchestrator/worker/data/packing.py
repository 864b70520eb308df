"""Packing files into shards: planned beforehand, in processes, taken up again after a kill.

Which file goes into which shard depends on the list of files alone, so every shard can be made on
its own. A finished shard has a record beside it in the temporary folder; a later preparation of the
same files finds both there, checks the shard against its record and goes on with the next. Two that
prepare the same at once write the same bytes, each under names of its own until they are whole.
"""

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Self

from orchestrator.errors import DataError
from orchestrator.jobs.datasets import INDEX, MANIFEST, SPLITS, Manifest, Shard, Split
from orchestrator.jobs.files import TEMPORARY, publish, publish_folder, sync_tree, to_json
from orchestrator.worker.data.census import Census
from orchestrator.worker.data.decode import UNREADABLE, Facts, facts_of, fault_of, storable
from orchestrator.worker.data.digests import Content, sha256_of_file
from orchestrator.worker.data.index import save_index
from orchestrator.worker.data.keys import hash_of_key, shown
from orchestrator.worker.data.parallel import in_processes, processors
from orchestrator.worker.data.samples import About, LeftOut, Sample
from orchestrator.worker.data.shards import ShardLimits, refuse_the_taken, stored_size, tar_writer
from orchestrator.worker.data.tars import LABEL, Entry, scan
from orchestrator.worker.data.track import Track, silently

WINDOW = 64  # images held in memory while they are decoded in parallel
FORMAT = 1
"""Raised when the same files would give other shards than before."""
RECORD = ".json"


@dataclass(frozen=True, slots=True)
class File:
    """A file that is to become a sample."""

    path: Path
    key: str
    split: Split
    label: int

    def size(self) -> int:
        """In bytes; 0 where there is none."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """A shard to be made of these files, in this order."""

    file: str
    split: Split
    files: tuple[File, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """How files are packed. ``track`` counts shards."""

    limits: ShardLimits = field(default_factory=ShardLimits)
    processes: int | None = None
    """None: one for each processor that this process may use."""
    skip_unreadable: bool = False
    track: Track = silently


USUAL = Packing()


class Row(NamedTuple):
    """What is known of one sample of a packed shard."""

    key: str
    label: int
    offset: int
    size: int
    sha256: str
    width: int
    height: int
    grey: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """What is known of a shard once every image of it was read."""

    shard: Shard
    rows: tuple[Row, ...]
    left_out: tuple[str, ...]

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        return cls(
            shard=Shard.model_validate(record["shard"]),
            rows=tuple(Row(*row) for row in record["rows"]),
            left_out=tuple(record["left_out"]),
        )

    def to_record(self) -> dict[str, Any]:
        return {
            "shard": self.shard.model_dump(mode="json"),
            "rows": self.rows,
            "left_out": self.left_out,
        }

    def entries(self) -> list[Entry]:
        """The samples as the index takes them."""
        return [Entry(row.key, row.label, row.offset, row.size) for row in self.rows]


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
        work = partial(_pack_shard, folder, threads)
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


def _pack_shard(folder: Path, threads: int, plan: ShardPlan) -> Packed:
    """Make a shard, or take the one that is there if it is as its record says."""
    path = folder / plan.file
    record = path.with_suffix(RECORD)
    found = _made_before(path, record)
    if found is None:
        found = _write_shard(path, threads, plan)
        publish(record, json.dumps(found.to_record()).encode())
    return found


def _made_before(path: Path, record: Path) -> Packed | None:
    try:
        found = Packed.from_record(json.loads(record.read_bytes()))
        same = sha256_of_file(path) == found.shard.sha256
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return found if same else None


def _write_shard(path: Path, threads: int, plan: ShardPlan) -> Packed:
    part = path.with_name(f".{path.name}-{uuid.uuid4().hex[:12]}")
    seen: dict[str, tuple[str, Facts]] = {}
    left_out = []
    with tar_writer(part) as tar:
        for one in _load_all(plan.files, threads):
            if isinstance(one, LeftOut):
                left_out.append(str(one))
                continue
            label = str(one.label).encode()
            tar.write({"__key__": one.key, LABEL: label, one.suffix: one.image_bytes})
            digest = hashlib.sha256(one.image_bytes).hexdigest()
            seen[one.key] = (digest, facts_of(one.image_bytes))
    rows = [
        Row(e.key, e.label, e.offset, e.size, digest, facts.width, facts.height, facts.grey)
        for e in scan(part)
        for digest, facts in (seen[e.key],)
    ]
    shard = Shard(
        file=path.name,
        split=plan.split,
        samples=len(rows),
        bytes=part.stat().st_size,
        sha256=sha256_of_file(part),
    )
    part.replace(path)
    return Packed(shard=shard, rows=tuple(rows), left_out=tuple(left_out))


def _load_all(files: Iterable[File], threads: int) -> Iterator[Sample | LeftOut]:
    """Decode in threads (Pillow lets others run meanwhile), a window at a time, in order."""
    remaining = iter(files)
    with ThreadPoolExecutor(threads) as pool:
        while window := list(islice(remaining, WINDOW)):
            yield from pool.map(_load, window)


def _load(file: File) -> Sample | LeftOut:
    try:
        if not file.path.is_file():
            return LeftOut(shown(file.path), "not a regular file, or a link to nothing")
        blob, suffix = storable(file.path.read_bytes())
    except UNREADABLE as error:
        return LeftOut(shown(file.path), fault_of(error))
    return Sample(file.key, file.split, file.label, blob, suffix)


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
