import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import webdataset

from orchestrator.config.data import DataConfig
from orchestrator.config.train import TrainConfig
from orchestrator.errors import DataError
from orchestrator.jobs.datasets import Manifest, Members, check_shards, load_manifest
from orchestrator.worker.data.adopt import Adoption, adopt, find_tars
from orchestrator.worker.data.foreign import scan_foreign
from orchestrator.worker.data.images import SplitImages
from orchestrator.worker.data.index import load_index
from orchestrator.worker.data.loader import Feed, training_portions
from orchestrator.worker.data.packing import Packing
from orchestrator.worker.data.verify import find_faults

Paint = Callable[..., bytes]
Content = list[tuple[str, bytes]]
ONE = Packing(processes=1)


def tarred(path: Path, members: Content, kind: int = tarfile.USTAR_FORMAT) -> Path:
    with tarfile.open(path, "w", format=kind) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def adopted(
    data_root: Path,
    train: list[Path],
    val: list[Path] | None = None,
    *,
    members: Members | None = None,
    options: Packing = ONE,
    classes: tuple[str, ...] | None = None,
) -> Manifest:
    """Without tars for validation, copies of those for training."""
    if val is None:
        val = [Path(shutil.copy(tar, tar.with_suffix(".val"))) for tar in train]
    adoption = Adoption(
        name="set",
        source="a test",
        tars={"train": train, "val": val},
        members=members or Members(),
        classes=classes,
    )
    return adopt(data_root, adoption, options)


@pytest.fixture
def foreign(tmp_path: Path, paint: Paint) -> tuple[list[Path], list[Path]]:
    """Four tars by the webdataset library, three of them for training; keys repeat in each."""
    for shard in range(4):
        with webdataset.TarWriter(str(tmp_path / f"w-{shard:03d}.tar")) as tar:
            for n in range(5 + shard):
                picture = paint(100 * shard + n, kind="JPEG")
                tar.write({"__key__": f"{n:06d}", "jpg": picture, "cls": n % 3})
    tars = find_tars([f"{tmp_path}/w-{{000..003}}.tar"])
    return tars[:3], tars[3:]


def test_tars_of_the_webdataset_library_are_read_as_ours_in_exact_epochs(
    foreign: tuple[list[Path], list[Path]], tmp_path: Path
) -> None:
    train, val = foreign

    manifest = adopted(tmp_path, train, val)

    check_shards(tmp_path, load_manifest(tmp_path, "set"))
    assert find_faults(tmp_path, load_manifest(tmp_path, "set")) == []
    assert manifest.counts == {"train": [7, 6, 5], "val": [3, 3, 2]}
    images = SplitImages(load_index(tmp_path, manifest, "train"))
    theirs = list(webdataset.WebDataset([str(tar) for tar in train], shardshuffle=False))
    assert [images.blob(n) for n in range(18)] == [sample["jpg"] for sample in theirs]
    assert images.index.label.tolist() == [int(sample["cls"]) for sample in theirs]
    feed = Feed(
        data=DataConfig(name="set"),
        train=TrainConfig(batch_size=4, chunk=2),
        data_seed=0,
        img_size=8,
    )
    everything = list(training_portions(images, feed, range(10)))
    for epoch in (everything[:5], everything[5:]):
        labels = np.concatenate([portion.labels.numpy() for portion in epoch])
        assert sorted(labels) == [0] * 7 + [1] * 6 + [2] * 5
    resumed = list(training_portions(images, feed, range(7, 10)))
    for before, after in zip(everything[7:], resumed, strict=True):
        assert before.images.equal(after.images)


def test_tars_that_are_adopted_are_not_copied_and_their_loss_is_noticed(
    foreign: tuple[list[Path], list[Path]], tmp_path: Path
) -> None:
    train, val = foreign
    manifest = adopted(tmp_path, train, val)

    assert (tmp_path / "set" / "train-00001.tar").resolve() == train[1]
    train[1].unlink()
    with pytest.raises(DataError, match=r"train-00001\.tar is missing"):
        check_shards(tmp_path, manifest)


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_whatever_a_plain_tar_may_hold_comes_through(
    tmp_path: Path, paint: Paint, kind: int
) -> None:
    """Labels first or last, folders, dots in keys, upper case, long and foreign names, others."""
    long = "/".join(["a folder with a long name"] * 3) + "/ä.b.c" * (kind != tarfile.USTAR_FORMAT)
    content: Content = [
        ("b/img.001.cls", b"1\n"),
        ("a.v2/img.JPG", paint(1, kind="JPEG")),
        ("readme.txt", b"other"),
        ("b/img.001.txt", b"a caption"),
        ("b/img.002.jpeg", paint(2, kind="JPEG")),
        ("b/img.001.png", paint(3)),
        ("b/img.002.CLS", b"0"),
        ("a.v2/img.CLS", b" 2 "),
        ("a.v2/._img.jpg", b"what another system hides"),
        (f"{long}/x.webp", paint(4, kind="WEBP")),
        (f"{long}/x.cls", b"0"),
    ]
    path = tmp_path / "odd.tar"
    with tarfile.open(path, "w", format=kind) as tar:
        folder = tarfile.TarInfo("b")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, blob in content:
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(blob)
            info.pax_headers = {"comment": "ö" * 700} if kind == tarfile.PAX_FORMAT else {}
            tar.addfile(info, io.BytesIO(blob))

    manifest = adopted(tmp_path, [path])

    images = SplitImages(load_index(tmp_path, manifest, "train"))
    keys = ["a.v2/img", "b/img.002", "b/img.001", f"{long}/x"]
    assert [images.index.name(n) for n in range(4)] == keys
    assert images.index.label.tolist() == [2, 0, 1, 0]
    blobs = dict(content)
    names = ["a.v2/img.JPG", "b/img.002.jpeg", "b/img.001.png", f"{long}/x.webp"]
    assert [images.blob(n) for n in range(4)] == [blobs[name] for name in names]
    assert find_faults(tmp_path, load_manifest(tmp_path, "set")) == []


def test_labels_are_taken_from_json_by_number_or_name(tmp_path: Path, paint: Paint) -> None:
    content: Content = []
    for n, name in enumerate(["dog", "cat", "dog", "eel"]):
        content += [(f"{n}.jpg", paint(n, kind="JPEG"))]
        content += [(f"{n}.json", json.dumps({"name": name, "number": n % 2}).encode())]
    path = tarred(tmp_path / "x.tar", content)

    named = adopted(tmp_path / "1", [path], members=Members(label="json", within="name"))
    ordered = adopted(
        tmp_path / "2", [path], members=Members(label="json", within="name"),
        classes=("eel", "dog", "cat"),
    )  # fmt: skip
    numbered = adopted(tmp_path / "3", [path], members=Members(label="json", within="number"))

    assert named.classes == ["cat", "dog", "eel"]
    assert load_index(tmp_path / "1", named, "train").label.tolist() == [1, 0, 1, 2]
    assert load_index(tmp_path / "2", ordered, "train").label.tolist() == [1, 2, 1, 0]
    assert numbered.classes == ["0", "1"]
    assert load_index(tmp_path / "3", numbered, "train").label.tolist() == [0, 1, 0, 1]
    for root in "123":
        assert find_faults(tmp_path / root, load_manifest(tmp_path / root, "set")) == []


def test_of_samples_with_several_images_one_field_is_taken(tmp_path: Path, paint: Paint) -> None:
    content: Content = [
        ("k.left.jpg", paint(1, kind="JPEG")),
        ("k.right.jpg", paint(2, kind="JPEG")),
        ("k.cls", b"0"),
    ]
    path = tarred(tmp_path / "x.tar", content)

    with pytest.raises(DataError, match=r"2 image\(s\) without a label .*first 'k.left'.*--image"):
        scan_foreign(path, Members())
    (entry,) = scan_foreign(path, Members(image=["right.jpg"]))
    assert path.read_bytes()[entry.offset :][: entry.size] == content[1][1]


def linked(path: Path, paint: Paint) -> None:
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo("a.jpg")
        info.type, info.linkname = tarfile.LNKTYPE, "b.jpg"
        tar.addfile(info)


def packed_small(path: Path, paint: Paint) -> None:
    with tarfile.open(path, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("a.jpg"))


def cut(path: Path, paint: Paint) -> None:
    tarred(path, [("a.cls", b"0"), ("a.jpg", paint(kind="JPEG"))])
    os.truncate(path, 1800)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (linked, "member 'a.jpg' is a link"),
        (packed_small, "not a gzip|invalid header|compressed"),
        (cut, "unexpected end of data"),
        (lambda path, paint: path.write_bytes(b""), "empty file"),
        (lambda path, paint: tarred(path, [("a.txt", b"")]), "no image in a field jpg, jpeg"),
        (
            lambda path, paint: tarred(path, [("a.jpg", paint()), ("a.jpg", paint())]),
            "two images of the key 'a'",
        ),
        (
            lambda path, paint: tarred(path, [("a.jpg", paint()), ("a.cls", b"")]),
            "label of 'a' is empty",
        ),
    ],
)
def test_a_tar_that_cannot_be_read_so_is_refused_in_words(
    tmp_path: Path, paint: Paint, make: Callable[[Path, Paint], None], words: str
) -> None:
    make(tmp_path / "x.tar", paint)

    with pytest.raises(DataError, match=words) as caught:
        adopted(tmp_path / "data", [tmp_path / "x.tar"])
    assert str(tmp_path / "x.tar") in str(caught.value)
    assert not any((tmp_path / "data").iterdir())


def test_a_label_that_is_no_class_is_refused_with_the_number_of_classes(
    tmp_path: Path, paint: Paint
) -> None:
    path = tarred(tmp_path / "x.tar", [("a.jpg", paint(kind="JPEG")), ("a.cls", b"7")])

    with pytest.raises(DataError, match=r"'a' has the label 7, which is none of the 2 classes"):
        adopted(tmp_path / "data", [path], classes=("x", "y"))
    assert list((tmp_path / "data").iterdir()) == []


def test_images_that_cannot_be_read_are_named_or_left_out(tmp_path: Path, paint: Paint) -> None:
    whole = paint(kind="JPEG")
    content: Content = [
        ("good.jpg", whole), ("good.cls", b"0"),
        ("cut.jpg", whole[:-40]), ("cut.cls", b"0"),
        ("none.jpg", b"text"), ("none.cls", b"0"),
    ]  # fmt: skip
    path = tarred(tmp_path / "x.tar", content)

    with pytest.raises(DataError, match=r"^4 image\(s\) cannot be read") as caught:
        adopted(tmp_path, [path])
    assert f"{path}/cut: " in str(caught.value)
    assert f"{path}/none: not an image" in str(caught.value)

    manifest = adopted(tmp_path, [path], options=Packing(skip_unreadable=True))
    assert manifest.counts == {"train": [1], "val": [1]}
    assert len(manifest.left_out) == 4
    assert find_faults(tmp_path, load_manifest(tmp_path, "set")) == []


def test_a_tar_that_was_changed_after_its_adoption_is_found(
    foreign: tuple[list[Path], list[Path]], tmp_path: Path
) -> None:
    manifest = adopted(tmp_path, *foreign)
    content = bytearray(foreign[0][2].read_bytes())
    content[2000] ^= 1
    foreign[0][2].write_bytes(content)

    (fault,) = find_faults(tmp_path, manifest)
    assert "train-00002.tar has sha256" in fault


def test_a_pattern_without_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a-0.tar").touch()

    with pytest.raises(DataError, match=r"no file .*a-1\.tar"):
        find_tars([f"{tmp_path}/a-{{0..1}}.tar"])


def test_a_tar_for_both_splits_is_refused(
    foreign: tuple[list[Path], list[Path]], tmp_path: Path
) -> None:
    train, _ = foreign

    with pytest.raises(DataError, match=r"1 tar\(s\) are named more than once, first .*w-000"):
        adopted(tmp_path, train, train[:1])
