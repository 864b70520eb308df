import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from orchestrator.config.data import DataConfig
from orchestrator.config.train import TrainConfig
from orchestrator.errors import DataError
from orchestrator.jobs.datasets import Manifest
from orchestrator.worker.data.corrupt import Corrupt, Met, shown_at
from orchestrator.worker.data.images import CorruptImage, SplitImages
from orchestrator.worker.data.index import load_index
from orchestrator.worker.data.loader import (
    Feed,
    Helpers,
    Portion,
    evaluation_batches,
    training_portions,
)
from orchestrator.worker.data.samples import About, Sample
from orchestrator.worker.data.shards import write_dataset
from orchestrator.worker.data.verify import find_corrupt, find_faults

Paint = Callable[..., bytes]
SPOILT = (3, 8, 9, 23)  # of the fixture's positions; 9 follows 8, and 23 is the last
SKIP = DataConfig(name="set", corrupt="skip", max_corrupt=4)
FEED = Feed(data=SKIP, train=TrainConfig(batch_size=8, chunk=2), data_seed=1, img_size=8)


@pytest.fixture
def images(spoilt: tuple[Path, Manifest]) -> SplitImages:
    return SplitImages(load_index(*spoilt, "train"))


def test_the_next_image_that_decodes_stands_in(images: SplitImages) -> None:
    shown = {position: shown_at(images, position, SKIP) for position in range(24)}

    taken = {p: one.position for p, one in shown.items() if one.position != p}
    assert taken == {3: 4, 8: 10, 9: 10, 23: 0}
    assert [one.position for one in shown[8].corrupt] == [8, 9]
    assert str(shown[8].corrupt[0]).startswith("train-00000.tar/k8: image file is truncated")
    assert shown[23].corrupt[0].shard == "train-00002.tar"
    assert np.array_equal(shown[8].image, images.image(10))
    assert not shown[0].corrupt


def test_the_stand_in_has_its_own_label_in_every_epoch(images: SplitImages) -> None:
    labels = Counter(images.index.label.tolist())
    for position, stand_in in {3: 4, 8: 10, 9: 10, 23: 0}.items():
        labels[int(images.index.label[position])] -= 1
        labels[int(images.index.label[stand_in])] += 1

    portions = list(training_portions(images, FEED, range(6)))

    for epoch in (portions[:3], portions[3:]):
        assert Counter(label for p in epoch for label in p.labels.tolist()) == labels
        assert sum(len(portion.corrupt) for portion in epoch) == 4


def content(portion: Portion) -> dict[int, tuple[bytes, tuple[int, ...]]]:
    """Pixels and labels of a portion by chunk."""
    found, start = {}, 0
    for piece in portion.pieces:
        part = slice(start, start + piece.images)
        found[piece.chunk] = (
            portion.images[part].numpy().tobytes(),
            tuple(portion.labels[part].tolist()),
        )
        start += piece.images
    return found


def test_ranks_and_helpers_change_nothing_about_what_stands_in(images: SplitImages) -> None:
    for step in range(3):
        (whole,) = training_portions(images, FEED, range(step, step + 1))
        shares = {}
        for rank in range(2):
            feed = replace(FEED, rank=rank, world=2)
            (share,) = training_portions(images, feed, range(step, step + 1), Helpers(processes=1))
            shares |= content(share)
        assert shares == content(whole)


def test_without_corrupt_images_the_policy_changes_no_pixel(
    images: SplitImages, tmp_path: Path, paint: Paint
) -> None:
    about = About(name="set", source="a test", split_rule="by hand", classes=("a",))
    samples = [
        Sample(f"k{n}", "train" if n else "val", 0, paint(n, kind="JPEG"), "jpg") for n in range(17)
    ]
    sound = SplitImages(load_index(tmp_path, write_dataset(tmp_path, about, samples), "train"))
    fail = replace(FEED, data=DataConfig(name="set"))

    for one, other in zip(
        training_portions(sound, FEED, range(4)),
        training_portions(sound, fail, range(4)),
        strict=True,
    ):
        assert one.images.equal(other.images)
        assert one.labels.equal(other.labels)


def test_by_default_a_corrupt_image_ends_the_job(images: SplitImages) -> None:
    feed = replace(FEED, data=DataConfig(name="set"))

    with pytest.raises(CorruptImage, match=r"train image 'k\d+', .* it is no whole image"):
        list(training_portions(images, feed, range(3), Helpers(processes=1)))


def test_images_for_validation_are_never_replaced(spoilt: tuple[Path, Manifest]) -> None:
    val = SplitImages(load_index(*spoilt, "val"))

    with pytest.raises(CorruptImage, match="val image 'k25'"):
        list(evaluation_batches(val, [np.arange(4)], 8))


def test_one_more_than_allowed_ends_the_job_and_all_are_named(
    images: SplitImages, capsys: pytest.CaptureFixture[str]
) -> None:
    met = Met(SKIP)
    for portion in training_portions(images, FEED, range(6)):
        met.take(portion.corrupt)
    assert sorted(met.images) == list(SPOILT)
    assert (met.since(), met.since()) == (8, 0)
    assert capsys.readouterr().out.count("Replaced, as it does not decode: train-0000") == 4

    with pytest.raises(DataError, match=r"5 training images .* data.max_corrupt is 4") as caught:
        met.take([(Corrupt(11, "train-00001.tar", "k11", "why"),)])
    assert "train-00001.tar/k11: why" in str(caught.value)
    assert "verify set --decode" in str(caught.value)


def test_a_row_of_corrupt_images_longer_than_allowed_ends_the_job(images: SplitImages) -> None:
    with pytest.raises(DataError, match="2 training images do not decode"):
        shown_at(images, 8, SKIP.model_copy(update={"max_corrupt": 1}))


def test_a_shard_that_is_short_is_not_taken_for_corrupt_images(
    tmp_path: Path, paint: Paint
) -> None:
    about = About(name="set", source="a test", split_rule="by hand", classes=("a",))
    samples = [Sample(f"k{n}", "train" if n else "val", 0, paint(n), "png") for n in range(5)]
    images = SplitImages(load_index(tmp_path, write_dataset(tmp_path, about, samples), "train"))
    os.truncate(tmp_path / "set" / "train-00000.tar", 1000)

    with pytest.raises(DataError, match="the shard ends after") as caught:
        shown_at(images, 3, SKIP)
    assert not isinstance(caught.value, CorruptImage)


def test_a_limit_without_the_policy_is_refused() -> None:
    with pytest.raises(ValidationError, match="max_corrupt is 3, but corrupt is fail"):
        DataConfig(name="set", max_corrupt=3)


@pytest.mark.parametrize("processes", [1, 2])
def test_all_corrupt_images_are_found_beforehand_and_nothing_is_written(
    spoilt: tuple[Path, Manifest], processes: int
) -> None:
    data_root, manifest = spoilt
    before = {p: p.stat().st_mtime_ns for p in data_root.rglob("*")}

    found = find_corrupt(data_root, manifest, processes)

    places = ["train-00000.tar/k3", "train-00000.tar/k8", "train-00000.tar/k9"]
    places += ["train-00002.tar/k23", "val-00000.tar/k25"]
    assert [line.split(": ")[0] for line in found] == places
    assert find_faults(data_root, manifest) == []
    assert {p: p.stat().st_mtime_ns for p in data_root.rglob("*")} == before
