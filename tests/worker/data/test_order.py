from collections.abc import Iterator
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.config.train import TrainConfig
from orchestrator.errors import SpecError
from orchestrator.worker.data.order import (
    Share,
    epoch_order,
    share_of_step,
    step_window,
    steps_per_epoch,
)

Epoch = tuple[int, TrainConfig, int]  # images, portions, ranks


@st.composite
def epochs(draw: st.DrawFn) -> Epoch:
    chunk, chunks = draw(st.integers(1, 9)), draw(st.integers(1, 8))
    train = TrainConfig(
        batch_size=chunk * chunks, chunk=chunk, tail=draw(st.sampled_from(["keep", "drop"]))
    )
    smallest = 1 if train.tail == "keep" else train.batch_size
    images = draw(st.integers(smallest, smallest + 5 * train.batch_size))
    return images, train, draw(st.integers(1, chunks))


def shares_of_epoch(images: int, train: TrainConfig, world: int) -> Iterator[list[Share]]:
    order = epoch_order(images, 1, 0)
    for step in range(steps_per_epoch(images, train)):
        window = step_window(order, step, train.batch_size)
        yield [
            share_of_step(window, chunks=train.chunks, rank=rank, world=world)
            for rank in range(world)
        ]


@settings(deadline=None)
@given(epochs())
def test_every_image_is_taken_exactly_once_an_epoch(epoch: Epoch) -> None:
    images, train, world = epoch
    steps = list(shares_of_epoch(images, train, world))
    taken = [s.draws for shares in steps for s in shares if not s.stand_in]
    expected = images if train.tail == "keep" else images - images % train.batch_size

    assert sorted(np.concatenate(taken).tolist()) == sorted(epoch_order(images, 1, 0)[:expected])
    for shares in steps:
        taken_here = sum(len(share.draws) for share in shares if not share.stand_in)
        assert {share.total for share in shares} == {taken_here}


def chunks_of(share: Share) -> dict[int, list[int]]:
    cuts = np.cumsum([piece.images for piece in share.pieces])
    assert cuts[-1] == len(share.draws)
    parts = np.split(share.draws, cuts[:-1])
    return (
        {}
        if share.stand_in
        else {piece.chunk: part.tolist() for piece, part in zip(share.pieces, parts, strict=True)}
    )


@settings(deadline=None)
@given(epochs())
def test_any_number_of_ranks_has_the_same_chunks(epoch: Epoch) -> None:
    images, train, world = epoch
    alone = shares_of_epoch(images, train, 1)
    together = shares_of_epoch(images, train, world)

    for (one,), many in zip(alone, together, strict=True):
        chunks = [chunks_of(share) for share in many]
        assert len(list(chain.from_iterable(chunks))) == len(one.pieces)
        assert {c: part for found in chunks for c, part in found.items()} == chunks_of(one)


def test_a_rank_without_images_stands_in_with_one_that_weighs_nothing() -> None:
    window = np.array([7])

    share = share_of_step(window, chunks=4, rank=3, world=4)

    assert (share.stand_in, share.total) == (True, 1)
    assert share.draws.tolist() == [7]
    assert [(piece.chunk, piece.images) for piece in share.pieces] == [(3, 1)]


def test_epochs_and_seeds_have_their_own_order() -> None:
    orders = {tuple(epoch_order(50, seed, epoch)) for seed in range(3) for epoch in range(3)}

    assert len(orders) == 9


def test_an_order_cannot_be_changed_by_its_users() -> None:
    with pytest.raises(ValueError, match="read-only"):
        epoch_order(10, 0, 0)[0] = 1


def test_a_batch_that_leaves_no_step_is_refused_with_the_numbers() -> None:
    train = TrainConfig(batch_size=64, tail="drop")

    with pytest.raises(SpecError, match=r"batch_size is 64, but .* only 63 .* at most 63"):
        steps_per_epoch(63, train)
    assert steps_per_epoch(63, TrainConfig(batch_size=64)) == 1
