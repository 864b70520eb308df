import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.jobs.datasets import MANIFEST, Manifest, load_manifest
from orchestrator.worker.data.verify import find_faults

Prepared = tuple[Path, Manifest]
Spoil = Callable[[Path], None]


def test_a_sound_dataset_has_no_faults(prepared: Prepared) -> None:
    assert find_faults(*prepared) == []


def flip_a_bit(folder: Path) -> None:
    path = folder / "train-00000.tar"
    content = bytearray(path.read_bytes())
    content[1_000_000] ^= 1
    path.write_bytes(content)


def remove_a_shard(folder: Path) -> None:
    (folder / "val-00000.tar").unlink()


def cut_a_shard(folder: Path) -> None:
    os.truncate(folder / "val-00000.tar", 2048)


def add_a_shard(folder: Path) -> None:
    (folder / "train-00001.tar").write_bytes(b"")


def remove_the_index(folder: Path) -> None:
    (folder / "index.npz").unlink()


def rewrite(**changes: object) -> Spoil:
    def spoil(folder: Path) -> None:
        record = json.loads((folder / MANIFEST).read_bytes())
        (folder / MANIFEST).write_text(json.dumps(record | changes))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (flip_a_bit, "train-00000.tar has sha256"),
        (remove_a_shard, "val-00000.tar: No such file"),
        (cut_a_shard, "val-00000.tar has 2048 bytes, not"),
        (add_a_shard, "train-00001.tar is not in the manifest"),
        (remove_the_index, "index.npz of dataset 'digits' is damaged"),
        (rewrite(layout_hash="0"), "layout hash"),
        (rewrite(content_hash="0"), "content hash"),
        (rewrite(classes=list("abcdefghij"), classes_sha256=None), "content hash"),
    ],
)
def test_each_fault_is_found_and_named(spoilable: Prepared, spoil: Spoil, words: str) -> None:
    data_root, _ = spoilable
    spoil(data_root / "digits")

    (fault,) = find_faults(data_root, load_manifest(data_root, "digits"))
    assert words in fault
