import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from orchestrator.config import RunConfig
from orchestrator.config.data import DataConfig
from orchestrator.config.train import TrainConfig
from orchestrator.errors import DataError
from orchestrator.jobs.datasets import Manifest
from orchestrator.worker.data.augment import DRAWS, training_view
from orchestrator.worker.data.images import SplitImages
from orchestrator.worker.data.index import load_index
from orchestrator.worker.data.loader import (
    Feed,
    Helpers,
    Portion,
    evaluation_batches,
    rank_portions,
    training_portions,
)
from orchestrator.worker.data.order import epoch_order, share_of_step
from orchestrator.worker.draws import uniforms

Prepared = tuple[Path, Manifest]

FEED = Feed(
    data=DataConfig(name="digits", crop="random_resized", flip=True, shift=1),
    train=TrainConfig(batch_size=300, chunk=100),
    data_seed=3,
    img_size=8,
)
STEPS = 5  # of an epoch of 1347 images: four of 300, then 147


@pytest.fixture
def images(prepared: Prepared) -> SplitImages:
    return SplitImages(load_index(*prepared, "train"))


def content(portion: Portion) -> tuple[Any, ...]:
    return (
        portion.step, portion.epoch, portion.images.numpy().tobytes(), portion.labels.tolist(),
        portion.pieces, portion.total, portion.stand_in,
    )  # fmt: skip


def portions(
    images: SplitImages, feed: Feed, steps: range, processes: int = 0
) -> list[tuple[Any, ...]]:
    return [
        content(p) for p in training_portions(images, feed, steps, Helpers(processes=processes))
    ]


def test_helpers_bring_the_same_as_the_process_itself(images: SplitImages) -> None:
    steps = range(3, 8)

    assert portions(images, FEED, steps, 2) == portions(images, FEED, steps, 0)


def test_a_resumed_run_sees_exactly_what_was_left(images: SplitImages) -> None:
    everything = portions(images, FEED, range(2 * STEPS + 1))

    assert [portion[1] for portion in everything] == [0] * STEPS + [1] * STEPS + [2]
    assert [portion[5] for portion in everything[:STEPS]] == [300] * 4 + [147]
    for start in (1, 4, 5, 9, 10):
        assert portions(images, FEED, range(start, 2 * STEPS + 1)) == everything[start:]


def test_three_ranks_see_together_what_one_sees(images: SplitImages) -> None:
    step = range(STEPS - 1, STEPS)
    (whole,) = training_portions(images, FEED, step)
    shares = [
        next(training_portions(images, replace(FEED, rank=rank, world=3), step))
        for rank in range(3)
    ]

    assert [piece for share in shares for piece in share.pieces] == list(whole.pieces)
    assert torch.equal(torch.cat([share.images for share in shares]), whole.images)
    assert torch.equal(torch.cat([share.labels for share in shares]), whole.labels)


def test_a_view_is_drawn_for_seed_epoch_and_position(images: SplitImages) -> None:
    step = next(training_portions(images, FEED, range(STEPS, STEPS + 1)))
    position = int(epoch_order(1347, 3, 1)[0])

    draws = uniforms(DRAWS, "augment", 3, 1, position)
    view = training_view(images.image(position), FEED.data, 8, draws)
    assert np.array_equal(step.images[0].numpy(), view)


def test_copies_of_an_image_have_views_of_their_own_the_first_that_of_an_unrepeated_epoch(
    images: SplitImages,
) -> None:
    thrice = replace(FEED, train=TrainConfig(batch_size=1280, chunk=320, repeats=3))
    whole = replace(FEED, train=TrainConfig(batch_size=1347, chunk=1347))
    (repeated,) = training_portions(images, thrice, range(1))
    (once,) = training_portions(images, whole, range(1))
    draws = share_of_step(epoch_order(1347, 3, 0, 3), chunks=4, rank=0, world=1).draws
    positions = epoch_order(1347, 3, 0).tolist()

    views = {view.tobytes() for view in repeated.images.numpy()}
    assert len(views) > 0.97 * 1280
    for view, label, draw in zip(repeated.images, repeated.labels, draws, strict=True):
        assert label == images.index.label[draw // 3]
        assert draw % 3 or torch.equal(view, once.images[positions.index(draw // 3)])


def test_three_ranks_see_together_what_one_sees_of_repeated_images(images: SplitImages) -> None:
    thrice = replace(FEED, train=TrainConfig(batch_size=300, chunk=100, repeats=3))
    (whole,) = training_portions(images, thrice, range(1))
    shares = [
        next(training_portions(images, replace(thrice, rank=rank, world=3), range(1)))
        for rank in range(3)
    ]

    assert torch.equal(torch.cat([share.images for share in shares]), whole.images)


def test_an_image_is_decoded_once_for_its_copies_in_a_step(
    images: SplitImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = replace(FEED, train=TrainConfig(batch_size=300, chunk=100, repeats=3))
    read, decoded = SplitImages.image, []

    def counted(self: SplitImages, position: int) -> Any:
        decoded.append(position)
        return read(self, position)

    monkeypatch.setattr(SplitImages, "image", counted)
    (portion,) = training_portions(images, feed, range(1))

    assert len(portion.images) == 300
    assert len(decoded) == len(set(decoded)) == 100


def test_an_epoch_changes_the_views_and_their_order(images: SplitImages) -> None:
    plain = replace(FEED, train=TrainConfig(batch_size=1347, chunk=1347))
    first, second = training_portions(images, plain, range(2))

    assert first.images.dtype == torch.uint8
    assert first.images.shape == (1347, 1, 8, 8)
    assert sorted(first.labels.tolist()) == sorted(second.labels.tolist())
    assert not torch.equal(first.labels, second.labels)
    seen, again = ({view.tobytes() for view in p.images.numpy()} for p in (first, second))
    assert len(seen & again) < 100


def test_a_feed_is_that_of_the_run(images: SplitImages) -> None:
    config = RunConfig(data=FEED.data, train=FEED.train, seed=5)

    assert Feed.of(config, rank=1, world=2).data_seed == 5
    assert Feed.of(config, rank=1, world=2).img_size == config.model.img_size


@pytest.mark.parametrize("processes", [0, 2])
def test_evaluation_reads_each_image_once_over_uneven_ranks(
    prepared: Prepared, processes: int
) -> None:
    images = SplitImages(load_index(*prepared, "val"))
    seen, labels = [], []
    for rank in range(4):
        mine = rank_portions(np.arange(450), batch_size=40, rank=rank, world=4)
        for batch in evaluation_batches(images, mine, 8, Helpers(processes=processes)):
            assert len(batch.images) <= 40
            seen += batch.positions.tolist()
            labels += batch.labels.tolist()

    assert sorted(seen) == list(range(450))
    assert labels == images.index.label[seen].tolist()


@pytest.mark.parametrize("processes", [0, 1])
def test_a_fault_arrives_as_the_one_message_it_is(spoilable: Prepared, processes: int) -> None:
    images = SplitImages(load_index(*spoilable, "train"))
    os.truncate(spoilable[0] / "digits" / "train-00000.tar", 5000)

    with pytest.raises(DataError) as caught:
        portions(images, FEED, range(2), processes)
    assert str(caught.value).startswith("Dataset 'digits': train image 'digit-")
    assert "Traceback" not in str(caught.value)


def test_reading_leaves_the_global_random_numbers_alone(images: SplitImages) -> None:
    before = torch.get_rng_state()
    portions(images, FEED, range(2), 1)

    assert torch.equal(torch.get_rng_state(), before)


def test_signals_meant_for_the_rank_do_not_end_its_helpers(images: SplitImages) -> None:
    others = children()  # such as Python's own, of pools that other tests had
    stream = training_portions(images, FEED, range(40), Helpers(processes=2))
    next(stream)
    helpers = children() - others
    assert len(helpers) == 2
    for helper in helpers:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
            os.kill(helper, number)

    assert len(list(stream)) == 39


def test_closing_the_stream_ends_its_helpers(images: SplitImages) -> None:
    others = children()
    stream = training_portions(images, FEED, range(10_000), Helpers(processes=2))
    next(stream)
    assert children() - others
    stream.close()

    assert children() <= others


def children() -> set[int]:
    with open(f"/proc/self/task/{os.getpid()}/children") as file:  # noqa: PTH123 - not a path
        return {int(pid) for pid in file.read().split()}
