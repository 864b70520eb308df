from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import webdataset
from PIL import Image

from orchestrator.errors import DataError, SpecError
from orchestrator.worker.data.folder import find_tree, prepare_folder
from orchestrator.worker.data.images import SplitImages
from orchestrator.worker.data.index import load_index
from orchestrator.worker.data.packing import Packing

Fill = Callable[[Path, dict[str, int]], Path]
Paint = Callable[..., bytes]


def test_classes_are_the_folders_and_a_share_of_each_is_for_validation(
    fill: Fill, tmp_path: Path
) -> None:
    source = fill(tmp_path / "source", {"dog": 10, "cat": 20})

    manifest = prepare_folder(tmp_path, "pets", find_tree(source, 0.2))

    assert manifest.classes == ["cat", "dog"]
    assert manifest.counts == {"train": [16, 8], "val": [4, 2]}
    assert (manifest.smallest, manifest.largest, manifest.channels) == ([12, 10], [12, 10], 3)


def test_an_image_keeps_its_split_when_others_come(
    fill: Fill, paint: Paint, tmp_path: Path
) -> None:
    source = fill(tmp_path, {"a": 40})
    before = {file.key: file.split for file in find_tree(source, 0.5).files}
    (source / "a" / "one more.png").write_bytes(paint(77))
    after = {file.key: file.split for file in find_tree(source, 0.5).files}

    assert sum(before[key] != after[key] for key in before) <= 1


def test_folders_train_and_val_are_the_splits(fill: Fill, tmp_path: Path) -> None:
    fill(tmp_path / "source" / "train", {"a": 3, "b": 4})
    source = fill(tmp_path / "source" / "val", {"a": 2, "b": 1}).parent

    manifest = prepare_folder(tmp_path, "set", find_tree(source, 0.5))

    assert manifest.counts == {"train": [3, 4], "val": [2, 1]}
    assert manifest.split_rule == "the folders train and val of the source"


def test_every_file_that_people_have_comes_through(paint: Paint, tmp_path: Path) -> None:
    """Odd names, twins by suffix, links, wrong suffixes, other formats, other modes."""
    for name in ("Katze ä", "dog.v2"):
        (tmp_path / "s" / name).mkdir(parents=True)
    cats, dogs = tmp_path / "s" / "Katze ä", tmp_path / "s" / "dog.v2"
    (cats / "a.png").write_bytes(paint(1))
    (cats / "a.jpg").write_bytes(paint(2, kind="JPEG"))
    (cats / "really a png.jpeg").write_bytes(paint(3))
    (cats / "日本 1.2.webp").write_bytes(paint(4, kind="WEBP"))
    (cats / "cmyk").write_bytes(paint(5, mode="CMYK", kind="TIFF"))
    (dogs / "link.png").symlink_to(cats / "a.png")
    (dogs / "palette.gif").write_bytes(paint(6, mode="P", kind="GIF"))
    (dogs / "alpha.png").write_bytes(paint(7, mode="RGBA"))
    (dogs / "grey.bmp").write_bytes(paint(8, mode="L", kind="BMP"))
    (dogs / ".DS_Store").write_bytes(b"hidden")

    manifest = prepare_folder(tmp_path, "odd", find_tree(tmp_path / "s", 0.4))

    urls = [str(tmp_path / "odd" / shard.file) for shard in manifest.shards]
    stored = list(webdataset.WebDataset(urls, shardshuffle=False, empty_check=False))
    assert manifest.classes == ["Katze ä", "dog.v2"]
    assert sum("jpg" in sample for sample in stored) == 1
    assert (cats / "a.jpg").read_bytes() in [sample.get("jpg") for sample in stored]
    assert sorted(int(sample["cls"]) for sample in stored) == [0] * 5 + [1] * 4
    for split in ("train", "val"):
        images = SplitImages(load_index(tmp_path, manifest, split))
        assert {images.image(n).shape[2] for n in range(len(images))} == {3}


def test_a_set_of_grey_images_has_one_channel(paint: Paint, tmp_path: Path) -> None:
    (tmp_path / "s" / "only").mkdir(parents=True)
    for n, mode in enumerate(["L", "1", "LA"]):
        (tmp_path / "s" / "only" / f"{mode}.png").write_bytes(paint(n, mode=mode))
    deep = Image.fromarray(np.full((4, 4), 0x8123, dtype=np.uint16))
    deep.save(tmp_path / "s" / "only" / "deep.png")

    manifest = prepare_folder(tmp_path, "grey", find_tree(tmp_path / "s", 0.5))

    images = [SplitImages(load_index(tmp_path, manifest, split)) for split in ("train", "val")]
    seen = [reader.image(n) for reader in images for n in range(len(reader))]
    assert manifest.channels == 1
    assert {image.shape[2] for image in seen} == {1}
    assert 0x81 in [image[0, 0, 0] for image in seen if image.shape == (4, 4, 1)]


@pytest.fixture
def spoilt(fill: Fill, paint: Paint, tmp_path: Path) -> Path:
    source = fill(tmp_path / "source", {"a": 6, "b": 6})
    (source / "a" / "notes.txt").write_text("not an image")
    (source / "b" / "cut.jpg").write_bytes(paint(kind="JPEG")[:-40])
    (source / "b" / "cut.png").write_bytes(paint()[:-60])
    (source / "b" / "nowhere.png").symlink_to(tmp_path / "gone.png")
    return source


def test_unreadable_images_are_all_named_and_nothing_is_stored(
    spoilt: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as caught:
        prepare_folder(tmp_path, "set", find_tree(spoilt, 0.3))

    message = str(caught.value)
    for name in ("a/notes.txt", "b/cut.jpg", "b/cut.png", "b/nowhere.png"):
        assert str(spoilt / name) in message
    assert message.startswith("4 file(s)")
    assert "--skip-unreadable" in message
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_unreadable_images_are_left_out_and_listed_when_asked(spoilt: Path, tmp_path: Path) -> None:
    manifest = prepare_folder(
        tmp_path, "set", find_tree(spoilt, 0.3), Packing(skip_unreadable=True)
    )

    assert manifest.images("train") + manifest.images("val") == 12
    assert len(manifest.left_out) == 4
    assert f"{spoilt / 'a' / 'notes.txt'}: not an image of a known format" in manifest.left_out


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        (["empty"], "class folder .*empty is empty"),
        ([], "has no folders; it must hold one per class"),
        (["a/deeper"], "deeper is a folder inside a class folder"),
        (["train/a", "train/b", "val/a"], "need a folder for every class.*: b"),
        (["a\nb"], "cannot be printed"),
    ],
)
def test_a_tree_that_is_no_dataset_is_refused_in_words(
    tmp_path: Path, folders: list[str], words: str
) -> None:
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)

    with pytest.raises(DataError, match=words):
        find_tree(tmp_path, 0.1)


def test_images_beside_the_class_folders_are_refused_by_name(
    fill: Fill, paint: Paint, tmp_path: Path
) -> None:
    source = fill(tmp_path / "source", {"dog": 4, "cat": 4})
    (source / "labels.json").write_text("{}")
    assert len(find_tree(source, 0.5).files) == 8
    (source / "lost.PNG").write_bytes(paint(1))

    with pytest.raises(DataError, match=r"1 image\(s\) beside its class folders, such as lost.PNG"):
        find_tree(source, 0.5)


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, float("nan")])
def test_a_share_that_is_none_is_refused(fill: Fill, tmp_path: Path, share: float) -> None:
    source = fill(tmp_path / "source", {"dog": 4})

    with pytest.raises(SpecError, match=r"must be in \(0, 1\)"):
        find_tree(source, share)
