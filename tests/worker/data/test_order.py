from collections.abc import Iterator
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
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
from orchestrator.worker.draws import permutation

Epoch = tuple[int, TrainConfig, int]  # images, portions, ranks


@st.composite
def epochs(draw: st.DrawFn, most_repeats: int = 1) -> Epoch:
    chunk, chunks = draw(st.integers(1, 9)), draw(st.integers(1, 8))
    train = TrainConfig(
        batch_size=chunk * chunks,
        chunk=chunk,
        tail=draw(st.sampled_from(["keep", "drop"])),
        repeats=draw(st.integers(1, min(chunks, most_repeats))),
    )
    if train.repeats > 1:
        return draw(st.integers(256, 700)), train, draw(st.integers(1, chunks))
    smallest = 1 if train.tail == "keep" else train.batch_size
    images = draw(st.integers(smallest, smallest + 5 * train.batch_size))
    return images, train, draw(st.integers(1, chunks))


def shares_of_epoch(images: int, train: TrainConfig, world: int) -> Iterator[list[Share]]:
    order = epoch_order(images, 1, 0, train.repeats)
    for step in range(steps_per_epoch(images, train)):
        window = step_window(order, step, train.batch_size)
        yield [
            share_of_step(window, chunks=train.chunks, rank=rank, world=world)
            for rank in range(world)
        ]


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


@given(epochs(most_repeats=3))
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


DEIT = TrainConfig(batch_size=2048, chunk=256, repeats=3, tail="drop")


@pytest.mark.parametrize(
    ("images", "draws", "steps"), [(130_000, 129_792, 63), (126_689, 126_464, 61)]
)
def test_an_epoch_of_repeated_images_has_the_length_of_deit_s(
    images: int, draws: int, steps: int
) -> None:
    order = epoch_order(images, 0, 5, 3)
    _, times = np.unique(order // 3, return_counts=True)

    assert len(order) == len(set(order.tolist())) == draws
    assert steps_per_epoch(images, DEIT) == steps
    assert times.max() == 3
    assert len(times) == -(-draws // 3)


def test_repeated_images_are_those_of_deit_s_sampler_on_eight_gpus() -> None:
    """RASampler: each image three times in a row, every eighth for a rank, the first n // 256."""
    images, world, batch = 5000, 8, 256
    listed = np.repeat(permutation(images, "order", 7, 2), 3)
    selected = images // 256 * 256 // world
    order = epoch_order(images, 7, 2, 3)

    for step in range(steps_per_epoch(images, DEIT)):
        window = step_window(order, step, DEIT.batch_size)
        for rank in range(world):
            theirs = listed[rank::world][:selected][step * batch : (step + 1) * batch]
            share = share_of_step(window, chunks=8, rank=rank, world=world)
            assert np.array_equal(share.draws // 3, theirs)


def test_copies_of_an_image_are_never_in_one_chunk_whoever_takes_it() -> None:
    train = TrainConfig(batch_size=60, chunk=15, repeats=3)
    for (share,) in shares_of_epoch(1000, train, 1):
        for drawn in chunks_of(share).values():
            images = [draw // 3 for draw in drawn]
            assert len(set(images)) == len(images)


def test_epochs_of_repeated_images_are_of_other_images() -> None:
    first, second = (set((epoch_order(3000, 0, epoch, 3) // 3).tolist()) for epoch in (0, 1))

    assert len(first & second) == pytest.approx(len(first) / 3, rel=0.15)


def test_repetition_that_leaves_no_step_is_refused_with_the_numbers() -> None:
    train = TrainConfig(batch_size=48, chunk=16, repeats=3)

    with pytest.raises(SpecError, match=r"repeats is 3, .* 255 training images has 0 draws"):
        steps_per_epoch(255, train)
    assert steps_per_epoch(256, train) == 6
