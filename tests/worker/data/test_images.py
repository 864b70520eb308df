import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from orchestrator.errors import DataError
from orchestrator.jobs.datasets import INDEX, Manifest
from orchestrator.worker.data import images as module
from orchestrator.worker.data.digits import digit_samples
from orchestrator.worker.data.images import SplitImages
from orchestrator.worker.data.index import load_index, probe_positions
from orchestrator.worker.data.keys import hash_of_key
from orchestrator.worker.data.samples import About
from orchestrator.worker.data.shards import ShardLimits, write_dataset

Prepared = tuple[Path, Manifest]
Spoil = Callable[[Path], None]


def val_images(data_root: Path, manifest: Manifest) -> SplitImages:
    return SplitImages(load_index(data_root, manifest, "val"))


def test_any_image_is_read_by_its_position(prepared: Prepared) -> None:
    images = val_images(*prepared)
    source = {sample.key: sample for sample in digit_samples() if sample.split == "val"}

    assert len(images) == len(source)
    for position in (449, 0, 7):
        sample = source[images.index.name(position)]
        assert images.blob(position) == sample.image_bytes
        assert images.index.label[position] == sample.label


def test_a_shard_that_ends_early_is_named_with_key_and_place(spoilable: Prepared) -> None:
    images = val_images(*spoilable)
    os.truncate(spoilable[0] / "digits" / "val-00000.tar", int(images.index.offset[100]) + 10)

    images.image(99)
    with pytest.raises(DataError) as caught:
        images.image(100)
    assert f"'{images.index.name(100)}', at byte {images.index.offset[100]} of" in str(caught.value)
    assert "val-00000.tar" in str(caught.value)
    assert "ends after 10 of its" in str(caught.value)
    assert "orchestrate data verify digits" in str(caught.value)


@pytest.mark.parametrize("damage", [b"no image here", b"\x89PNG\r\n\x1a\n" + b"\0" * 8])
def test_what_is_no_image_is_named_with_key_and_place(spoilable: Prepared, damage: bytes) -> None:
    images = val_images(*spoilable)
    path = spoilable[0] / "digits" / "val-00000.tar"
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(int(images.index.offset[3]))
        file.write(damage)

    with pytest.raises(DataError, match=f"'{images.index.name(3)}'.*no whole image") as caught:
        images.image(3)
    assert "0x" not in str(caught.value)


def test_a_missing_shard_is_named(spoilable: Prepared) -> None:
    images = val_images(*spoilable)
    (spoilable[0] / "digits" / "val-00000.tar").unlink()

    with pytest.raises(DataError, match=r"val-00000.tar, cannot be read: No such file"):
        images.image(0)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_set_of_many_shards_does_not_use_up_the_descriptors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OPEN_SHARDS", 3)
    classes = tuple("0123456789")
    about = About(name="many", source="a test", split_rule="by hand", classes=classes)
    manifest = write_dataset(tmp_path, about, digit_samples()[:200], ShardLimits(samples=5))
    images = SplitImages(load_index(tmp_path, manifest, "train"))
    before = open_files()

    for position in range(len(images)):
        images.image(position)
    assert open_files() == before + 3

    images.close()
    assert open_files() == before


def test_a_pickled_reader_opens_its_own_files(prepared: Prepared) -> None:
    images = val_images(*prepared)
    images.image(0)

    copy = pickle.loads(pickle.dumps(images))  # noqa: S301 - our own
    assert copy._open == {}
    assert copy.blob(5) == images.blob(5)


def spoil_truncate(path: Path) -> None:
    os.truncate(path, 1000)


def spoil_garbage(path: Path) -> None:
    path.write_bytes(b"PK garbage")


def spoil_columns(path: Path, **changes: NDArray[Any]) -> None:
    with np.load(path) as arrays:
        np.savez(path, **{**arrays, **changes})


def spoil_labels(path: Path) -> None:
    spoil_columns(path, val_label=np.zeros(450, dtype=np.int64))


def spoil_offsets(path: Path) -> None:
    spoil_columns(path, val_offset=np.full(450, 10**9))


def spoil_keys(path: Path) -> None:
    spoil_columns(path, val_key=np.array([b"a"]))


def spoil_types(path: Path) -> None:
    spoil_columns(path, val_size=np.full(450, 1.5))


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_truncate,
        spoil_garbage,
        spoil_labels,
        spoil_offsets,
        spoil_keys,
        spoil_types,
        os.unlink,
    ],
)
def test_a_damaged_index_is_refused_in_words(spoilable: Prepared, spoil: Spoil) -> None:
    spoil(spoilable[0] / "digits" / INDEX)

    with pytest.raises(DataError, match=r"index .*index\.npz of dataset 'digits' is damaged: ."):
        load_index(*spoilable, "val")


def test_the_index_needs_no_pickle(prepared: Prepared) -> None:
    with np.load(prepared[0] / "digits" / INDEX, allow_pickle=False) as arrays:
        assert {arrays[name].dtype.kind for name in arrays} == {"S", "i"}


def test_the_probe_batch_has_the_smallest_hashes_of_every_class(prepared: Prepared) -> None:
    index = load_index(*prepared, "val")

    positions = probe_positions(index, 50)

    for label in range(10):
        of_class = np.flatnonzero(index.label == label)
        smallest = sorted(of_class, key=lambda n: hash_of_key(index.name(n)))[:5]
        assert set(smallest) == {p for p in positions if index.label[p] == label}


@given(st.integers(1, 600))
def test_the_probe_batch_is_as_large_as_asked_and_balanced(prepared: Prepared, images: int) -> None:
    index = load_index(*prepared, "val")

    positions = probe_positions(index, images)
    counts = np.bincount(index.label[positions], minlength=10)

    assert len(set(positions.tolist())) == min(images, 450)
    assert images > 440 or counts.max() - counts.min() <= 1
