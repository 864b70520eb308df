import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from support.photos import imagenet_folder, kaggle_folder, photo

from orchestrator.errors import DataError
from orchestrator.jobs.datasets import Manifest, check_shards, lines_sha256, load_manifest
from orchestrator.jobs.files import is_temporary
from orchestrator.worker.data import packed, packing
from orchestrator.worker.data.imagenet import (
    COLLECTIONS,
    Collection,
    Expected,
    find_imagenet,
    prepare_imagenet,
)
from orchestrator.worker.data.images import SplitImages
from orchestrator.worker.data.index import load_index
from orchestrator.worker.data.label_spaces import IMAGENET100_KAGGLE, IMAGENET_A, LABEL_SPACES
from orchestrator.worker.data.packing import Packing, pack
from orchestrator.worker.data.samples import About
from orchestrator.worker.data.shards import ShardLimits
from orchestrator.worker.data.verify import find_faults

WNIDS = IMAGENET100_KAGGLE[:5]
FIVE = Collection(
    label_space="imagenet100_kaggle",
    wnids=WNIDS,
    expected=Expected(total={"train": 5 * 24, "val": 5 * 4}, per_class={"train": 24, "val": 4}),
)
SMALL_SHARDS = ShardLimits(samples=16)  # 8 for training and 2 for validation
ONE = Packing(processes=1)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 + 20 photos of five classes, in the usual layout. Read only."""
    return imagenet_folder(tmp_path_factory.mktemp("imagenet"), WNIDS[::-1], (24, 4))


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.worker.data.imagenet.SHARD_LIMITS", SMALL_SHARDS)


def prepared(data_root: Path, source: Path, options: Packing = ONE) -> Manifest:
    return prepare_imagenet(data_root, "five", FIVE, find_imagenet(source, FIVE), options)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_labels_are_places_among_the_sorted_ids_and_the_manifest_has_their_hash(
    photos: Path, tmp_path: Path
) -> None:
    manifest = prepared(tmp_path, photos)

    assert manifest.classes == sorted(WNIDS)
    assert manifest.counts == {"train": [24] * 5, "val": [4] * 5}
    assert manifest.label_space == "imagenet100_kaggle"
    assert manifest.classes_sha256 == lines_sha256(sorted(WNIDS))
    assert find_faults(tmp_path, load_manifest(tmp_path, "five")) == []
    images = SplitImages(load_index(tmp_path, manifest, "train"))
    for position in (0, 57, 119):
        wnid = manifest.classes[images.index.label[position]]
        name = images.index.name(position)
        assert name.startswith(f"{wnid}-{wnid}_")
        number = name.removeprefix(f"{wnid}-{wnid}_").split("-")[0]
        path = photos / "train" / wnid / f"{wnid}_{number}.JPEG"
        assert images.blob(position) == path.read_bytes()


def test_the_layout_of_kaggle_gives_the_same_content_and_order(
    photos: Path, tmp_path: Path
) -> None:
    usual = prepared(tmp_path / "usual", photos)
    kaggle = prepared(tmp_path / "kaggle", kaggle_folder(tmp_path / "source", photos))

    assert kaggle.content_hash == usual.content_hash
    assert kaggle.layout_hash == usual.layout_hash
    assert "train.X1 train.X2 train.X3 train.X4" in kaggle.split_rule


def test_more_processes_write_the_same_bytes(photos: Path, tmp_path: Path) -> None:
    prepared(tmp_path / "one", photos, Packing(processes=1))
    prepared(tmp_path / "two", photos, Packing(processes=2))

    assert files_of(tmp_path / "one" / "five") == files_of(tmp_path / "two" / "five")


def _die_at(deed: int, data_root: Path, source: Path) -> None:
    """Prepare, and be killed as the ``deed``-th shard or record is about to be published."""
    done = 0

    def deadly(real: object, *args: object) -> object:
        nonlocal done
        done += 1
        if done == deed:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args)

    Path.replace = lambda *args, real=Path.replace: deadly(real, *args)
    Path.rename = lambda *args, real=Path.rename: deadly(real, *args)
    prepared(data_root, source, Packing(processes=1))


@pytest.mark.parametrize("deed", [1, 2, 9, 12, 20])
def test_a_killed_preparation_goes_on_to_the_bytes_of_one_that_was_not(
    photos: Path, tmp_path: Path, deed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(tmp_path / "whole", photos)
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_die_at, args=(deed, tmp_path / "killed", photos))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    made = []
    write = packed._write_shard
    monkeypatch.setattr(packed, "_write_shard", lambda *a: made.append(a[-1].file) or write(*a))

    prepared(tmp_path / "killed", photos, Packing(processes=1))

    assert files_of(tmp_path / "killed" / "five") == files_of(tmp_path / "whole" / "five")
    assert len(made) == 10 - (deed - 1) // 2  # a shard with its record is two deeds
    assert [path.name for path in (tmp_path / "killed").iterdir()] == ["five"]


def test_a_finished_shard_that_was_damaged_meanwhile_is_made_again(
    photos: Path, tmp_path: Path
) -> None:
    prepared(tmp_path / "whole", photos)
    process = multiprocessing.get_context("fork").Process(
        target=_die_at, args=(9, tmp_path / "killed", photos)
    )
    process.start()
    process.join()
    (left,) = (tmp_path / "killed").iterdir()
    content = bytearray((left / "train-00001.tar").read_bytes())
    content[50_000] ^= 1
    (left / "train-00001.tar").write_bytes(content)

    prepared(tmp_path / "killed", photos)

    assert files_of(tmp_path / "killed" / "five") == files_of(tmp_path / "whole" / "five")


def test_shards_of_other_files_are_not_taken_up(photos: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(photos, source)
    process = multiprocessing.get_context("fork").Process(
        target=_die_at, args=(20, tmp_path / "data", source)
    )
    process.start()
    process.join()
    changed = source / "train" / WNIDS[0] / f"{WNIDS[0]}_0.JPEG"
    changed.write_bytes(photo(999_999))

    manifest = prepared(tmp_path / "data", source)

    images = SplitImages(load_index(tmp_path / "data", manifest, "train"))
    assert changed.read_bytes() in {images.blob(n) for n in range(len(images))}


def test_helpers_of_a_killed_preparation_end_with_it(photos: Path, tmp_path: Path) -> None:
    program = (
        "from pathlib import Path\n"
        "from orchestrator.worker.data.folder import find_tree, prepare_folder\n"
        "from orchestrator.worker.data.packing import Packing\n"
        "from orchestrator.worker.data.shards import ShardLimits\n"
        "if __name__ == '__main__':\n"
        f"    tree = find_tree(Path({str(photos)!r}), 0.1)\n"
        "    options = Packing(processes=2, limits=ShardLimits(samples=16))\n"
        f"    prepare_folder(Path({str(tmp_path)!r}), 'set', tree, options)\n"
    )
    (tmp_path / "program.py").write_text(program)
    process = subprocess.Popen([sys.executable, tmp_path / "program.py"])
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".tmp-set-*/*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    process.wait()
    while any(_is_alive(child) for child in children) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert len(children) >= 2
    assert not any(_is_alive(child) for child in children)


def _is_alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_set_with_a_class_missing_is_refused_before_anything_is_written(
    photos: Path, tmp_path: Path
) -> None:
    more = replace(FIVE, wnids=(*WNIDS, *IMAGENET100_KAGGLE[5:8]))

    with pytest.raises(DataError) as caught:
        find_imagenet(photos, more)

    message = str(caught.value)
    assert "3 of the 8 classes have no folder in train" in message
    assert IMAGENET100_KAGGLE[5] in message
    assert "--classes" in message


def test_classes_of_others_are_passed_over_and_counted(photos: Path, tmp_path: Path) -> None:
    fewer = replace(FIVE, wnids=WNIDS[1:], expected=None)

    manifest = prepare_imagenet(tmp_path, "four", fewer, find_imagenet(photos, fewer), ONE)

    assert manifest.passed_over == {WNIDS[0]: 28}
    assert manifest.counts == {"train": [24] * 4, "val": [4] * 4}


def test_other_numbers_than_the_official_ones_are_refused_with_both(
    photos: Path, tmp_path: Path
) -> None:
    shutil.copytree(photos, tmp_path / "source")
    (tmp_path / "source" / "train" / WNIDS[2] / f"{WNIDS[2]}_7.JPEG").unlink()

    with pytest.raises(DataError) as caught:
        find_imagenet(tmp_path / "source", FIVE)

    assert "119 train images, not 120" in str(caught.value)
    assert f"1 class(es) have not 24 in train: {WNIDS[2]} has 23" in str(caught.value)
    assert "--any-counts" in str(caught.value)
    found = find_imagenet(tmp_path / "source", replace(FIVE, expected=None))
    assert len(found.files) == 139


def test_an_image_that_two_parts_have_is_refused(photos: Path, tmp_path: Path) -> None:
    source = kaggle_folder(tmp_path / "source", photos)
    (source / "train.X4" / WNIDS[0]).symlink_to((photos / "train" / WNIDS[0]).resolve())

    with pytest.raises(DataError, match="are the same image"):
        find_imagenet(source, FIVE)


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        ([], "holds neither train and val, nor train.X1 .* \\(there: nothing\\)"),
        (["train"], "there: train"),
        ([f"train/{wnid}" for wnid in WNIDS] + ["val"], "5 of the 5 .* no folder in val"),
        ([f"{split}/{wnid}" for split in ("train", "val") for wnid in WNIDS], "is empty"),
    ],
)
def test_a_source_of_another_layout_is_refused_in_words(
    tmp_path: Path, folders: list[str], words: str
) -> None:
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)

    with pytest.raises(DataError, match=words):
        find_imagenet(tmp_path, FIVE)


def test_a_set_for_evaluation_has_no_training_images(tmp_path: Path) -> None:
    for number, wnid in enumerate(IMAGENET_A[:3]):
        (tmp_path / "a" / wnid).mkdir(parents=True)
        (tmp_path / "a" / wnid / "0.1_fox _ fox_0.2.jpg").write_bytes(photo(number))
    (tmp_path / "a" / "README.txt").write_text("as in the archive")
    three = Collection(
        label_space="imagenet_a",
        wnids=IMAGENET_A[:3],
        expected=Expected(total={"val": 3}),
        only_val=True,
    )

    manifest = prepare_imagenet(tmp_path, "a3", three, find_imagenet(tmp_path / "a", three))

    assert manifest.counts == {"train": [0] * 3, "val": [1] * 3}
    assert len(load_index(tmp_path, manifest, "train")) == 0
    assert find_faults(tmp_path, load_manifest(tmp_path, "a3")) == []


def test_two_that_prepare_the_same_at_once_make_one_sound_dataset(
    photos: Path, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("fork")
    both = [
        context.Process(target=partial(prepared, tmp_path, photos, Packing(processes=1)))
        for _ in range(2)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join()

    assert 0 in {process.exitcode for process in both}
    assert find_faults(tmp_path, load_manifest(tmp_path, "five")) == []
    assert not [path for path in tmp_path.iterdir() if is_temporary(path)]


def test_a_full_disk_keeps_what_is_finished_and_says_where(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(packing, "save_index", no_room)
    with pytest.raises(DataError, match=r"No space left.*finished shards are kept in .*\.tmp-five"):
        prepared(tmp_path, photos)
    monkeypatch.undo()
    monkeypatch.setattr("orchestrator.worker.data.imagenet.SHARD_LIMITS", SMALL_SHARDS)
    monkeypatch.setattr(packed, "_write_shard", no_room)  # none needs to be written again

    check_shards(tmp_path, prepared(tmp_path, photos))


def test_a_file_that_grew_unreadable_leaves_its_shard_out_where_it_was_alone(
    tmp_path: Path,
) -> None:
    files = []
    for number, split in enumerate(["train", "train", "val"]):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(photo(number, (40, 30)) if number else b"no image")
        files.append(packed.File(path, f"k{number}", split, 0))
    about = About(name="set", source="a test", split_rule="by hand", classes=("a",))
    options = Packing(limits=ShardLimits(samples=1), skip_unreadable=True)

    manifest = pack(tmp_path, about, files, options)

    assert len(manifest.shards) == 2
    assert len(manifest.left_out) == 1
    assert find_faults(tmp_path, load_manifest(tmp_path, "set")) == []


def test_all_hundred_classes_in_the_layout_of_kaggle(tmp_path: Path) -> None:
    collection = COLLECTIONS["imagenet100_kaggle"]
    source = kaggle_folder(
        tmp_path / "kaggle",
        imagenet_folder(tmp_path / "usual", IMAGENET100_KAGGLE, (1, 1), (16, 12)),
    )
    with pytest.raises(DataError, match="100 train images, not 130,000"):
        find_imagenet(source, collection)
    found = find_imagenet(source, replace(collection, expected=None))

    manifest = prepare_imagenet(tmp_path, "imagenet100", collection, found)

    assert manifest.counts == {"train": [1] * 100, "val": [1] * 100}
    assert manifest.classes_sha256 == lines_sha256(LABEL_SPACES["imagenet100_kaggle"])
    with pytest.raises(DataError, match=r"92 of the 100 classes .*; there are 92 folders"):
        find_imagenet(source, COLLECTIONS["imagenet100_cmc"])
