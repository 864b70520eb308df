"""Bringing items to a rank: made in its own process, or by helpers of its own."""

import signal
from collections.abc import Generator
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from orchestrator.errors import DataError

LEFT_TO_THE_RANK = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Helpers:
    """How pixels are brought in; changes nothing about them."""

    processes: int = 0
    """0 reads and decodes in the asking process."""
    pin: bool = False
    """Into page-locked memory, from which a GPU copies while it computes."""


NO_HELPERS = Helpers()


class Source(Dataset[Item | DataError], Generic[Item]):
    """Items by number. A fault is an answer: raised in a helper it would lose its message."""

    def item(self, number: int) -> Item:
        """The item of this number; a DataError that it raises is the answer."""
        raise NotImplementedError

    def __getitem__(self, number: int) -> Item | DataError:
        try:
            return self.item(number)
        except DataError as error:
            return error


def loader_of(
    source: Dataset[Item | DataError], helpers: Helpers, sampler: range | None = None
) -> DataLoader[Item | DataError]:
    """What asks for the items: those of ``sampler``, or all of a stream, in order."""
    return DataLoader(
        source,
        batch_size=None,
        sampler=sampler,
        num_workers=helpers.processes,
        pin_memory=helpers.pin,
        collate_fn=_as_it_is,
        worker_init_fn=_leave_signals_to_the_rank,
        generator=torch.Generator(),  # else every start would draw from the global one
        # A forkserver and its tracker would die of the USR2 that SLURM sends to every process.
        multiprocessing_context="fork" if helpers.processes else None,
    )


def items_of(loader: DataLoader[Item | DataError]) -> Generator[Item, None, None]:
    """The items; closing the iterator ends the helpers.

    Raises:
        DataError: an item is a fault.
    """
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
