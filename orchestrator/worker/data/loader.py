"""Feeding steps and batches of pixels to the worker, in this process or from helpers."""

import signal
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Self, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from orchestrator.config import RunConfig
from orchestrator.config.data import DataConfig
from orchestrator.config.train import TrainConfig
from orchestrator.errors import DataError
from orchestrator.worker.data.augment import DRAWS, Pixels, evaluation_view, training_view
from orchestrator.worker.data.corrupt import Corrupt, shown_at
from orchestrator.worker.data.images import SplitImages
from orchestrator.worker.data.order import (
    Piece,
    Positions,
    Share,
    epoch_order,
    share_of_step,
    step_window,
    steps_per_epoch,
)
from orchestrator.worker.draws import uniforms

LEFT_TO_THE_RANK = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """Everything that decides what one rank sees at a step."""

    data: DataConfig
    train: TrainConfig
    data_seed: int
    img_size: int
    rank: int = 0
    world: int = 1

    @classmethod
    def of(cls, config: RunConfig, *, rank: int, world: int) -> Self:
        return cls(
            data=config.data,
            train=config.train,
            data_seed=config.data_seed,
            img_size=config.model.img_size,
            rank=rank,
            world=world,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Helpers:
    """How pixels are brought in; changes nothing about them."""

    processes: int = 0
    """0 reads and decodes in the asking process."""
    pin: bool = False
    """Into page-locked memory, from which a GPU copies while it computes."""


@dataclass(frozen=True, slots=True, eq=False)
class Portion:
    """A rank's share of one optimiser step. See ``order.Share``."""

    step: int
    """Counted from the start of the run, over all epochs."""
    epoch: int
    images: Tensor  # uint8 (n, C, H, W)
    labels: Tensor  # int64 (n,)
    pieces: tuple[Piece, ...]
    total: int
    stand_in: bool
    corrupt: tuple[tuple[Corrupt, ...], ...] = ()
    """For each image that stands in for corrupt ones, those. See ``corrupt.shown_at``."""

    def pin_memory(self) -> Self:
        return replace(self, images=self.images.pin_memory(), labels=self.labels.pin_memory())


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Images to be looked at without training."""

    positions: Positions
    images: Tensor  # uint8 (n, C, H, W)
    labels: Tensor  # int64 (n,)

    def pin_memory(self) -> Self:
        return replace(self, images=self.images.pin_memory(), labels=self.labels.pin_memory())


Item = TypeVar("Item", Portion, Batch)


def training_portions(
    images: SplitImages, feed: Feed, steps: range, helpers: Helpers = Helpers()
) -> Generator[Portion, None, None]:
    """The rank's shares of these steps, counted from the start of the run over all epochs.

    A step's share depends on nothing but its number, so resuming is starting at another one.
    Closing the iterator ends its helpers.
    """
    return _items(_Steps(images, feed), steps, helpers)


def evaluation_batches(
    images: SplitImages, portions: Sequence[Positions], img_size: int, helpers: Helpers = Helpers()
) -> Generator[Batch, None, None]:
    """These portions of positions under the evaluation view. See ``rank_portions``."""
    return _items(_Batches(images, portions, img_size), range(len(portions)), helpers)


def rank_portions(
    positions: Positions, *, batch_size: int, rank: int = 0, world: int = 1
) -> list[Positions]:
    """Every ``world``-th position from ``rank`` on, cut into batches.

    Over all ranks each position comes once. The ranks may have different numbers of batches, so
    nothing collective may be done per batch.
    """
    mine = positions[rank::world]
    return [mine[start : start + batch_size] for start in range(0, len(mine), batch_size)]


class _Source(Dataset[Item | DataError], Generic[Item]):
    """Items by number. A fault is an answer: raised in a helper it would lose its message."""

    def item(self, number: int) -> Item:
        raise NotImplementedError

    def __getitem__(self, number: int) -> Item | DataError:
        try:
            return self.item(number)
        except DataError as error:
            return error


class _Steps(_Source[Portion]):
    def __init__(self, images: SplitImages, feed: Feed) -> None:
        self._images, self._feed = images, feed
        self._steps_per_epoch = steps_per_epoch(len(images), feed.train)

    def item(self, number: int) -> Portion:
        epoch, step = divmod(number, self._steps_per_epoch)
        share = self._share(epoch, step)
        positions, copies = np.divmod(share.draws, self._feed.train.repeats)
        shown = [shown_at(self._images, int(p), self._feed.data) for p in positions]
        drawn = zip(positions.tolist(), copies.tolist(), shown, strict=True)
        views = [self._view(epoch, place, copy, one.image) for place, copy, one in drawn]
        taken = np.array([one.position for one in shown], dtype=np.int64)
        pixels, labels = _tensors(self._images, taken, views)
        return Portion(
            *(number, epoch, pixels, labels, share.pieces, share.total, share.stand_in),
            corrupt=tuple(one.corrupt for one in shown if one.corrupt),
        )

    def _share(self, epoch: int, step: int) -> Share:
        feed = self._feed
        order = epoch_order(len(self._images), feed.data_seed, epoch, feed.train.repeats)
        window = step_window(order, step, feed.train.batch_size)
        return share_of_step(window, chunks=feed.train.chunks, rank=feed.rank, world=feed.world)

    def _view(self, epoch: int, position: int, copy: int, image: Image.Image) -> Pixels:
        feed = self._feed
        key = (feed.data_seed, epoch, position)
        draws = uniforms(DRAWS, "augment", *key, *([copy] if copy else []))
        return training_view(image, feed.data, feed.img_size, draws)


class _Batches(_Source[Batch]):
    def __init__(self, images: SplitImages, portions: Sequence[Positions], img_size: int) -> None:
        self._images, self._portions, self._img_size = images, portions, img_size

    def item(self, number: int) -> Batch:
        positions = self._portions[number]
        views = [evaluation_view(self._images.image(int(p)), self._img_size) for p in positions]
        return Batch(positions, *_tensors(self._images, positions, views))


def _tensors(
    images: SplitImages, positions: Positions, views: Sequence[Pixels]
) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(np.stack(views)), torch.from_numpy(images.index.label[positions])


def _items(source: _Source[Item], numbers: range, helpers: Helpers) -> Generator[Item, None, None]:
    loader: DataLoader[Item | DataError] = DataLoader(
        source,
        batch_size=None,
        sampler=numbers,
        num_workers=helpers.processes,
        pin_memory=helpers.pin,
        collate_fn=_as_it_is,
        worker_init_fn=_leave_signals_to_the_rank,
        generator=torch.Generator(),  # else every start would draw from the global one
        # A forkserver and its tracker would die of the USR2 that SLURM sends to every process.
        multiprocessing_context="fork" if helpers.processes else None,
    )
    for item in loader:
        if isinstance(item, DataError):
            raise item
        yield item


def _as_it_is(item: Item | DataError) -> Item | DataError:
    return item


def _leave_signals_to_the_rank(_helper: int) -> None:
    """A helper goes on serving until its rank has ended the step and closes it."""
    for number in LEFT_TO_THE_RANK:
        signal.signal(number, signal.SIG_IGN)
