"""One shard, made of files: written whole, with a record beside it of all that its images are."""

import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Self

from orchestrator.jobs.datasets import Shard, Split
from orchestrator.jobs.files import publish
from orchestrator.worker.data.decode import UNREADABLE, Facts, facts_of, fault_of, storable
from orchestrator.worker.data.digests import sha256_of_file
from orchestrator.worker.data.keys import shown
from orchestrator.worker.data.samples import LeftOut, Sample
from orchestrator.worker.data.shards import tar_writer
from orchestrator.worker.data.tars import LABEL, Entry, scan

WINDOW = 64  # images held in memory while they are decoded in parallel
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


def pack_shard(folder: Path, threads: int, plan: ShardPlan) -> Packed:
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
