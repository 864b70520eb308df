from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orchestrator.errors import DataError, SpecError
from orchestrator.jobs.datasets import load_manifest
from orchestrator.worker.data.index import load_index, probe_positions
from orchestrator.worker.probing.images import choose_images


def plant(folder: Path, *names: str) -> None:
    for level, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((9, 7, 3), level, np.uint8)).save(path)


def test_of_a_prepared_dataset_the_probe_batch_of_training_is_taken(digits: Path) -> None:
    index = load_index(digits, load_manifest(digits, "digits"), "val")
    chosen = choose_images(digits / "digits", 20)

    assert list(chosen.keys) == [index.name(int(p)) for p in probe_positions(index, 20)]
    assert chosen.read(0, 1).size == (8, 8)
    assert chosen.read(0, 3).mode == "RGB"


def test_a_folder_may_be_flat_or_have_classes_of_which_each_gives_as_many(tmp_path: Path) -> None:
    plant(tmp_path / "flat", "a.png", "b.png")
    plant(tmp_path / "tree", *(f"{c}/{n}.png" for c in "xyz" for n in range(4)))

    assert set(choose_images(tmp_path / "flat", 9).keys) == {"a.png", "b.png"}
    six = choose_images(tmp_path / "tree", 6).keys
    assert sorted(key[0] for key in six) == list("xxyyzz")
    assert choose_images(tmp_path / "tree", 6).keys == six


def test_of_a_folder_with_a_split_val_only_that_is_seen(tmp_path: Path) -> None:
    plant(tmp_path, "train/x/a.png", "val/x/b.png")

    assert choose_images(tmp_path, 9).keys == ("x/b.png",)


def test_the_image_at_a_place_is_that_of_its_key(tmp_path: Path) -> None:
    plant(tmp_path, "a.png", "b.png", "c.png")
    chosen = choose_images(tmp_path, 3)

    levels = {key: np.asarray(chosen.read(n, 3)).max() for n, key in enumerate(chosen.keys)}
    assert levels == {"a.png": 0, "b.png": 1, "c.png": 2}


def test_missing_folders_and_empty_ones_are_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("")

    with pytest.raises(DataError, match="There is no folder"):
        choose_images(tmp_path / "none", 1)
    with pytest.raises(DataError, match="no images below"):
        choose_images(tmp_path / "empty", 1)


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")

    with pytest.raises(DataError, match=r"a\.png cannot be read"):
        choose_images(tmp_path, 1).read(0, 3)


def test_channels_that_no_image_has_are_no_fault_of_the_image(tmp_path: Path) -> None:
    plant(tmp_path, "a.png")

    with pytest.raises(SpecError, match="takes images of 64 channels; those here have 1 or 3"):
        choose_images(tmp_path, 1).read(0, 64)
