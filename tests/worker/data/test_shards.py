import io
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import webdataset
from PIL import Image
from sklearn.datasets import load_digits

from orchestrator.errors import DataError
from orchestrator.jobs.datasets import MANIFEST, Manifest, check_shards, load_manifest
from orchestrator.jobs.files import is_temporary
from orchestrator.worker.data.digits import (
    digit_samples,
    digits_hash,
    grey_png,
    hard_digits,
    moved_digits,
    prepare_digits,
)
from orchestrator.worker.data.index import load_index
from orchestrator.worker.data.samples import About, Sample
from orchestrator.worker.data.shards import ShardLimits, write_dataset

Prepared = tuple[Path, Manifest]
Paint = Callable[..., bytes]

DIGITS_HASH = "e01fefe81d26a0df60e8972a63911235f090633c1c49d7cc166727ef95ec240a"
ABOUT = About(name="two", source="a test", split_rule="by hand", classes=("a", "b"))


def samples(paint: Paint, number: int = 40) -> Iterator[Sample]:
    for n in range(number):
        yield Sample(f"k{n}", "val" if n % 4 < 2 else "train", n % 2, paint(n), "png")


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_webdataset_reads_all_1797_digits_with_their_labels(prepared: Prepared) -> None:
    data_root, manifest = prepared
    urls = [str(data_root / "digits" / shard.file) for shard in manifest.shards]
    source = load_digits()

    read = {}
    for sample in webdataset.WebDataset(urls, shardshuffle=False):
        number = int(sample["__key__"].removeprefix("digit-"))
        pixels = np.asarray(Image.open(io.BytesIO(sample["png"])))
        assert np.array_equal(pixels, np.rint(source.images[number] * 255 / 16))
        read[number] = int(sample["cls"])

    assert read == dict(enumerate(source.target.tolist()))


def test_the_digits_have_the_same_content_everywhere(prepared: Prepared) -> None:
    assert prepared[1].content_hash == DIGITS_HASH
    assert digits_hash() == DIGITS_HASH


def test_a_quarter_of_each_digit_is_for_validation(prepared: Prepared) -> None:
    counts = prepared[1].counts

    assert sum(counts["train"]) + sum(counts["val"]) == 1797
    for train, val in zip(counts["train"], counts["val"], strict=True):
        assert val == round((train + val) / 4)


def test_the_hard_digits_are_held_out_ones_that_a_simple_classifier_mistakes() -> None:
    from sklearn.datasets import load_digits
    from sklearn.neighbors import NearestCentroid

    samples, found = digit_samples(), load_digits()
    values = np.rint(found.data * (255 / 16))
    train = np.array([sample.split == "train" for sample in samples])
    guessed = NearestCentroid().fit(values[train], found.target[train]).predict(values)

    wrong = [s for s, guess in zip(samples, guessed, strict=True) if guess != s.label]
    assert hard_digits() == [sample for sample in wrong if sample.split == "val"]
    assert 30 < len(hard_digits()) < 60


def test_moved_digits_are_the_held_out_ones_a_pixel_further() -> None:
    held_out = [sample for sample in digit_samples() if sample.split == "val"]
    there, moved = (
        [np.asarray(Image.open(io.BytesIO(sample.image_bytes))) for sample in samples]
        for samples in (held_out, moved_digits())
    )

    assert np.array_equal(moved[0][:-1], there[0][1:])
    assert np.array_equal(moved[1][:, 1:], there[1][:, :-1])
    assert np.array_equal(moved[2][1:], there[2][:-1])
    assert np.array_equal(moved[3][:, :-1], there[3][:, 1:])
    assert not moved[2][0].any()
    assert [s.key for s in moved_digits()] == [s.key for s in held_out]


def test_a_set_to_evaluate_on_has_the_classes_of_its_images_alone(tmp_path: Path) -> None:
    manifest = prepare_digits(tmp_path, "hard", images="hard")

    assert (
        set(manifest.classes) == {str(sample.label) for sample in hard_digits()} < set("0123456789")
    )
    assert (sum(manifest.counts["train"]), sum(manifest.counts["val"])) == (0, len(hard_digits()))
    assert manifest.content_hash == digits_hash("hard")


def test_preparing_twice_gives_the_same_bytes(prepared: Prepared, tmp_path: Path) -> None:
    prepare_digits(tmp_path, "digits")

    assert files_of(tmp_path / "digits") == files_of(prepared[0] / "digits")


def test_a_grey_png_is_what_it_was_made_of() -> None:
    pixels = np.arange(35, dtype=np.uint8).reshape(5, 7)

    assert np.array_equal(np.asarray(Image.open(io.BytesIO(grey_png(pixels)))), pixels)


@pytest.mark.parametrize("limits", [ShardLimits(samples=7), ShardLimits(bytes=7 * 3000)])
def test_no_shard_is_larger_than_the_limits(
    tmp_path: Path, paint: Paint, limits: ShardLimits
) -> None:
    manifest = write_dataset(tmp_path, ABOUT, samples(paint), limits)

    assert [s.file for s in manifest.shards[:2]] == ["train-00000.tar", "train-00001.tar"]
    assert all(shard.samples <= limits.samples for shard in manifest.shards)
    assert all(shard.bytes <= limits.bytes + 10240 for shard in manifest.shards)
    assert (manifest.images("train"), manifest.images("val")) == (20, 20)
    assert len(load_index(tmp_path, manifest, "val")) == 20


def test_how_samples_are_packed_changes_the_layout_but_not_the_content(
    tmp_path: Path, paint: Paint
) -> None:
    one = write_dataset(tmp_path / "1", ABOUT, samples(paint))
    other = write_dataset(tmp_path / "2", ABOUT, samples(paint), ShardLimits(samples=3))

    assert one.content_hash == other.content_hash
    assert one.layout_hash != other.layout_hash


def die_while_reading_samples(data_root: Path) -> None:
    def deadly(things: Iterable[Sample], _total: int) -> Iterator[Sample]:
        for n, thing in enumerate(things):
            if n == 900:
                os.kill(os.getpid(), signal.SIGKILL)
            yield thing

    prepare_digits(data_root, "digits", track=deadly)


def die_when_everything_is_written(data_root: Path) -> None:
    Path.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    prepare_digits(data_root, "digits")


@pytest.mark.parametrize("deed", [die_while_reading_samples, die_when_everything_is_written])
def test_a_killed_preparation_leaves_no_dataset_and_the_next_one_works(
    deed: Callable[[Path], None], tmp_path: Path
) -> None:
    process = multiprocessing.get_context("fork").Process(target=deed, args=(tmp_path,))
    process.start()
    process.join()

    assert process.exitcode == -signal.SIGKILL
    assert all(is_temporary(path) for path in tmp_path.iterdir())
    with pytest.raises(DataError, match=r"no dataset 'digits' under .* \(there: none\)"):
        load_manifest(tmp_path, "digits")

    prepare_digits(tmp_path, "digits")
    check_shards(tmp_path, load_manifest(tmp_path, "digits"))


def test_a_failing_source_leaves_nothing(tmp_path: Path, paint: Paint) -> None:
    def broken() -> Iterator[Sample]:
        yield from samples(paint, 5)
        raise KeyError("source")

    with pytest.raises(KeyError):
        write_dataset(tmp_path, ABOUT, broken())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch])
def test_what_is_there_is_never_overwritten(
    tmp_path: Path, paint: Paint, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "two")

    with pytest.raises(DataError, match=r"already something at .* another --name"):
        write_dataset(tmp_path, ABOUT, samples(paint))


def test_of_two_that_prepare_at_once_one_is_refused_and_the_first_stays(
    tmp_path: Path, paint: Paint
) -> None:
    def overtaken() -> Iterator[Sample]:
        write_dataset(tmp_path, ABOUT, samples(paint))
        yield from samples(paint, 20)

    with pytest.raises(DataError, match="already something at"):
        write_dataset(tmp_path, ABOUT, overtaken())
    assert load_manifest(tmp_path, "two").images("train") == 20


def test_a_class_without_training_images_is_refused(tmp_path: Path, paint: Paint) -> None:
    only_a = [Sample("x", "train", 0, paint(), "png"), Sample("y", "val", 1, paint(), "png")]

    with pytest.raises(DataError, match="no training image of class b"):
        write_dataset(tmp_path, ABOUT, only_a)


@pytest.mark.parametrize("key", ["twice", "a.dot"])
def test_a_key_that_readers_could_confuse_is_our_own_mistake(
    tmp_path: Path, paint: Paint, key: str
) -> None:
    first = Sample("twice", "train", 0, paint(), "png")

    with pytest.raises(ValueError, match=key):
        write_dataset(tmp_path, ABOUT, [first, Sample(key, "val", 0, paint(), "png")])


def test_a_full_disk_is_told_without_a_traceback_of_ours(tmp_path: Path, paint: Paint) -> None:
    def no_room() -> Iterator[Sample]:
        yield from samples(paint, 3)
        raise OSError(28, "No space left on device")

    with pytest.raises(DataError, match=r"No space left.*--data-root"):
        write_dataset(tmp_path, ABOUT, no_room())
    assert not (tmp_path / "two" / MANIFEST).exists()
