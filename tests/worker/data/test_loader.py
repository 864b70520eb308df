import multiprocessing
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
    stream = training_portions(images, FEED, range(40), Helpers(processes=2))
    next(stream)
    helpers = children()
    assert len(helpers) == 2
    for helper in helpers:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
            os.kill(helper, number)

    assert len(list(stream)) == 39


def test_closing_the_stream_ends_its_helpers(images: SplitImages) -> None:
    stream = training_portions(images, FEED, range(10_000), Helpers(processes=2))
    next(stream)
    stream.close()

    assert children() == []


def children() -> list[int]:
    return [child.pid for child in multiprocessing.active_children() if child.pid is not None]
