"""Which images a rank takes at which step: pure arithmetic on positions."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from orchestrator.config.train import TrainConfig
from orchestrator.errors import SpecError
from orchestrator.worker.draws import permutation

Positions = NDArray[np.int64]
Draws = NDArray[np.int64]
"""What an epoch is made of. A draw is its image's position times ``train.repeats``, plus the number
of its copy: where nothing is repeated, the position itself."""

REPEATED_MULTIPLE = 256
"""An epoch of repeated images has a multiple of so many draws, as that of DeiT's sampler."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The part of a step that is one chunk: its number, and how many images it has."""

    chunk: int
    images: int


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """What one rank takes of one step.

    ``draws`` are in the order of ``pieces``, whose sizes add up to their number; ``total``
    counts the images of the step over all ranks. A rank for which nothing is left still takes
    part, with one image that weighs nothing: ``stand_in``.
    """

    draws: Draws
    pieces: tuple[Piece, ...]
    total: int
    stand_in: bool = False


def steps_per_epoch(images: int, train: TrainConfig) -> int:
    """Steps of one epoch, with the shorter last one if it is kept.

    Raises:
        SpecError: there would be none.
    """
    draws = draws_per_epoch(images, train.repeats)
    full, rest = divmod(draws, train.batch_size)
    steps = full + (1 if rest and train.tail == "keep" else 0)
    if not steps and train.repeats > 1:
        raise SpecError(
            f"train.repeats is {train.repeats}, so an epoch of {images} training images has "
            f"{draws} draws, a multiple of {REPEATED_MULTIPLE}; train.batch_size is "
            f"{train.batch_size} and train.tail {train.tail}: no step is left. Use a smaller "
            "train.batch_size, or train.repeats: 1."
        )
    if not steps:
        raise SpecError(
            f"train.batch_size is {train.batch_size}, but there are only {images} training images "
            f"and train.tail is {train.tail}: no step is left. Use train.tail: keep, or a "
            f"train.batch_size of at most {images}."
        )
    return steps


def draws_per_epoch(images: int, repeats: int) -> int:
    """All images once; with repetition rounded down to a multiple of `REPEATED_MULTIPLE`."""
    return images if repeats == 1 else images - images % REPEATED_MULTIPLE


@lru_cache(maxsize=2)
def epoch_order(images: int, data_seed: int, epoch: int, repeats: int = 1) -> Draws:
    """The draws of an epoch in the order they are trained on. Read-only.

    With repetition (Hoffer et al., arXiv 1901.09335) the images of a new order come one after the
    other, each ``repeats`` times in a row, until the epoch is full: DeiT's RASampler, read over all
    of its ranks. Most images of the order are then left for other epochs.
    """
    order = permutation(images, "order", data_seed, epoch)
    if repeats > 1:
        taken = draws_per_epoch(images, repeats)
        order = (order[:, None] * repeats + np.arange(repeats)).ravel()[:taken]
    order.setflags(write=False)
    return order


def step_window(order: Draws, step: int, batch_size: int) -> Draws:
    """The draws of a step of the epoch, over all ranks; the last may be shorter."""
    return order[step * batch_size : (step + 1) * batch_size]


def share_of_step(window: Draws, *, chunks: int, rank: int, world: int) -> Share:
    """What ``rank`` of ``world`` takes of a step: the chunks rank, rank + world, ...

    Chunk c has the draws c, c + chunks, ... of the window, so that copies of an image, which stand
    side by side, are in different chunks. In a shorter window, chunks are smaller, and those that
    are empty are no piece.
    """
    parts = {chunk: window[chunk::chunks] for chunk in range(rank, chunks, world)}
    pieces = tuple(Piece(chunk, len(part)) for chunk, part in parts.items() if len(part))
    if not pieces:
        return Share(window[:1], (Piece(rank, 1),), len(window), stand_in=True)
    return Share(np.concatenate(list(parts.values())), pieces, len(window))


def most_images(total: int, chunks: int, world: int) -> int:
    """Of a step of ``total`` images, those of the rank that has most: the first."""
    return sum(len(range(chunk, total, chunks)) for chunk in range(0, chunks, world))
