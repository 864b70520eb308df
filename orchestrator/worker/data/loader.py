"""Feeding steps and batches of pixels to the worker, in this process or from helpers."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from orchestrator.config import RunConfig
from orchestrator.config.data import DataConfig
from orchestrator.config.train import TrainConfig
from orchestrator.errors import DataError, SpecError
from orchestrator.worker.data.augment import DRAWS, evaluation_view, training_view
from orchestrator.worker.data.corrupt import Corrupt, next_shown, shown_at
from orchestrator.worker.data.decode import Picture
from orchestrator.worker.data.helpers import NO_HELPERS, Helpers, Source, items_of, loader_of
from orchestrator.worker.data.images import Images
from orchestrator.worker.data.order import (
    Piece,
    Positions,
    Share,
    epoch_order,
    share_of_step,
    step_window,
    steps_per_epoch,
)
from orchestrator.worker.data.remote import BUFFER, LIMITS, RemoteImages, Stream, Streamed
from orchestrator.worker.data.resize import Pixels
from orchestrator.worker.draws import uniforms


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


def training_portions(
    images: Images, feed: Feed, steps: range, helpers: Helpers = NO_HELPERS
) -> Generator[Portion, None, None]:
    """The rank's shares of these steps, counted from the start of the run over all epochs.

    A step's share depends on nothing but its number, so resuming is starting at another one; but
    for images that are streamed, of which see ``remote.LIMITS``. Closing the iterator ends its
    helpers.

    Raises:
        SpecError: the images are streamed, and are to be repeated.
        DataError: an image or a shard cannot be read, or too many are corrupt.
    """
    if isinstance(images, RemoteImages):
        return _streamed(images, feed, steps, helpers)
    return items_of(loader_of(_Steps(images, feed), helpers, sampler=steps))


def evaluation_batches(
    images: Images, portions: Sequence[Positions], img_size: int, helpers: Helpers = NO_HELPERS
) -> Generator[Batch, None, None]:
    """These portions of positions under the evaluation view. See ``rank_portions``."""
    batches = _Batches(images, portions, img_size)
    return items_of(loader_of(batches, helpers, sampler=range(len(portions))))


def rank_portions(
    positions: Positions, *, batch_size: int, rank: int = 0, world: int = 1
) -> list[Positions]:
    """Every ``world``-th position from ``rank`` on, cut into batches.

    Over all ranks each position comes once. The ranks may have different numbers of batches, so
    nothing collective may be done per batch.
    """
    mine = positions[rank::world]
    return [mine[start : start + batch_size] for start in range(0, len(mine), batch_size)]


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """What belongs to which step, and what is drawn for an image."""

    images: int
    feed: Feed

    def share(self, number: int) -> tuple[int, Share]:
        """The epoch of a step, and the rank's share of it."""
        feed = self.feed
        epoch, step = divmod(number, steps_per_epoch(self.images, feed.train))
        order = epoch_order(self.images, feed.data_seed, epoch, feed.train.repeats)
        window = step_window(order, step, feed.train.batch_size)
        share = share_of_step(window, chunks=feed.train.chunks, rank=feed.rank, world=feed.world)
        return epoch, share

    def view(self, epoch: int, position: int, copy: int, image: Picture) -> Pixels:
        feed = self.feed
        key = (feed.data_seed, epoch, position)
        draws = uniforms(DRAWS, "augment", *key, *([copy] if copy else []))
        return training_view(image, feed.data, feed.img_size, draws)

    def room(self, images: int, channels: int) -> Pixels:
        size = self.feed.img_size
        return np.empty((images, channels, size, size), np.uint8)


class _Steps(Source[Portion]):
    def __init__(self, images: Images, feed: Feed) -> None:
        self._images, self._feed, self._plan = images, feed, _Plan(len(images), feed)

    def item(self, number: int) -> Portion:
        epoch, share = self._plan.share(number)
        positions, copies = np.divmod(share.draws, self._feed.train.repeats)
        pixels = self._plan.room(len(positions), self._images.index.channels)
        taken = np.empty_like(positions)
        corrupt: dict[int, tuple[Corrupt, ...]] = {}
        for position, draws in _by_position(positions):  # an image is decoded once for its copies
            shown = shown_at(self._images, position, self._feed.data)
            for n in draws:
                pixels[n] = self._plan.view(epoch, position, int(copies[n]), shown.image)
                taken[n] = shown.position
                corrupt[n] = shown.corrupt
        labels = torch.from_numpy(self._images.index.label[taken])
        return Portion(
            *(number, epoch, torch.from_numpy(pixels), labels),
            *(share.pieces, share.total, share.stand_in),
            corrupt=tuple(corrupt[n] for n in sorted(corrupt) if corrupt[n]),
        )


class _StreamedSteps(IterableDataset[Portion | DataError]):
    """Steps of images in the order of their arrival; of several helpers each makes whole steps."""

    def __init__(self, images: RemoteImages, feed: Feed, steps: range, helpers: Helpers) -> None:
        self._images, self._feed, self._steps = images, feed, steps
        self._plan, self._each = _Plan(len(images), feed), max(1, helpers.processes)

    def __iter__(self) -> Iterator[Portion | DataError]:
        info = get_worker_info()
        helper = info.id if info else 0
        try:
            yield from self._portions(helper)
        except DataError as error:
            yield error

    def _portions(self, helper: int) -> Iterator[Portion]:
        per_epoch = steps_per_epoch(len(self._images), self._feed.train)
        for epoch, numbers in groupby(self._steps[helper :: self._each], lambda n: n // per_epoch):
            start = max(0, self._steps.start - epoch * per_epoch)
            streams = self._feed.world * self._each
            place = Stream(self._feed.rank * self._each + helper, streams, start)
            stream = self._images.stream(self._feed.data_seed, epoch, place)
            yield from (self._portion(number, stream) for number in numbers)

    def _portion(self, number: int, stream: Iterator[Streamed]) -> Portion:
        epoch, share = self._plan.share(number)
        index = self._images.index
        pixels = self._plan.room(len(share.draws), index.channels)
        taken, corrupt = [], []
        for room in pixels:
            shown = next_shown(stream, self._images, self._feed.data)
            room[:] = self._plan.view(epoch, shown.position, 0, shown.image)
            taken.append(shown.position)
            corrupt.append(shown.corrupt)
        labels = torch.from_numpy(index.label[taken])
        return Portion(
            *(number, epoch, torch.from_numpy(pixels), labels),
            *(share.pieces, share.total, share.stand_in),
            corrupt=tuple(one for one in corrupt if one),
        )


def _by_position(positions: Positions) -> Iterator[tuple[int, list[int]]]:
    """Each position that occurs, and where."""
    order = np.argsort(positions, kind="stable").tolist()
    for position, places in groupby(order, key=positions.__getitem__):
        yield int(position), list(places)


class _Batches(Source[Batch]):
    def __init__(self, images: Images, portions: Sequence[Positions], img_size: int) -> None:
        self._images, self._portions, self._img_size = images, portions, img_size

    def item(self, number: int) -> Batch:
        positions = self._portions[number]
        views = [evaluation_view(self._images.image(int(p)), self._img_size) for p in positions]
        labels = torch.from_numpy(self._images.index.label[positions])
        return Batch(positions, torch.from_numpy(np.stack(views)), labels)


def _streamed(
    images: RemoteImages, feed: Feed, steps: range, helpers: Helpers
) -> Generator[Portion, None, None]:
    if feed.train.repeats > 1:
        raise SpecError(
            f"Dataset '{feed.data.name}' is streamed, and train.repeats is {feed.train.repeats}, "
            "which needs an exact order. Use train.repeats: 1, or adopt files."
        )
    streams = feed.world * max(1, helpers.processes)
    images.refuse_too_many(streams)
    if feed.rank == 0:
        print(f"warning: {LIMITS.format(buffer=BUFFER, streams=streams)}", flush=True)
    return items_of(loader_of(_StreamedSteps(images, feed, steps, helpers), helpers))
