"""The two hashes of a dataset: what is in it, and in which order it lies."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Self

from orchestrator.jobs.datasets import Shard, Split


class Content(NamedTuple):
    """One line of a dataset's content."""

    key: str
    class_name: str
    split: Split
    sha256: str

    @classmethod
    def of(cls, key: str, class_name: str, split: Split, image: bytes) -> Self:
        return cls(key, class_name, split, hashlib.sha256(image).hexdigest())


def content_hash(lines: Iterable[Content]) -> str:
    """The same for the same images under the same names, however they are packed."""
    digest = hashlib.sha256()
    for line in sorted(lines):
        digest.update(json.dumps(line).encode() + b"\n")
    return digest.hexdigest()


def layout_hash(shards: Iterable[Shard]) -> str:
    """The same for the same tars in the same order: the order of samples rests on it."""
    lines = [[shard.file, shard.sha256] for shard in shards]
    return hashlib.sha256(json.dumps(lines).encode()).hexdigest()


def sha256_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
