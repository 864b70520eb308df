"""Which images a rank takes at which step: pure arithmetic on positions."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from orchestrator.config.train import TrainConfig
from orchestrator.errors import SpecError
from orchestrator.worker.draws import permutation

Positions = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Piece:
    """The part of a step that is one chunk: its number, and how many images it has."""

    chunk: int
    images: int


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """What one rank takes of one step.

    ``positions`` are in the order of ``pieces``, whose sizes add up to their number; ``total``
    counts the images of the step over all ranks. A rank for which nothing is left still takes
    part, with one image that weighs nothing: ``stand_in``.
    """

    positions: Positions
    pieces: tuple[Piece, ...]
    total: int
    stand_in: bool = False


def steps_per_epoch(images: int, train: TrainConfig) -> int:
    """Steps of one epoch, with the shorter last one if it is kept.

    Raises:
        SpecError: there would be none.
    """
    full, rest = divmod(images, train.batch_size)
    steps = full + (1 if rest and train.tail == "keep" else 0)
    if not steps:
        raise SpecError(
            f"train.batch_size is {train.batch_size}, but there are only {images} training images "
            f"and train.tail is {train.tail}: no step is left. Use train.tail: keep, or a "
            f"train.batch_size of at most {images}."
        )
    return steps


@lru_cache(maxsize=2)
def epoch_order(images: int, data_seed: int, epoch: int) -> Positions:
    """The positions of an epoch in the order they are trained on. Read-only."""
    order = permutation(images, "order", data_seed, epoch)
    order.setflags(write=False)
    return order


def step_window(order: Positions, step: int, batch_size: int) -> Positions:
    """The positions of a step of the epoch, over all ranks; the last may be shorter."""
    return order[step * batch_size : (step + 1) * batch_size]


def share_of_step(window: Positions, *, chunks: int, rank: int, world: int) -> Share:
    """What ``rank`` of ``world`` takes of a step: the chunks rank, rank + world, ...

    Chunk c has the positions c, c + chunks, ... of the window. In a shorter window, chunks are
    smaller, and those that are empty are no piece.
    """
    parts = {chunk: window[chunk::chunks] for chunk in range(rank, chunks, world)}
    pieces = tuple(Piece(chunk, len(part)) for chunk, part in parts.items() if len(part))
    if not pieces:
        return Share(window[:1], (Piece(rank, 1),), len(window), stand_in=True)
    return Share(np.concatenate(list(parts.values())), pieces, len(window))
