"""Who is next in a pool, and on which GPUs: on this machine, and inside a cluster's allocation."""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self

from orchestrator.executors.pool_log import look_at_pool, read_pools
from orchestrator.jobs.gather import read_submissions
from orchestrator.jobs.layout import Root, SubmissionFolder
from orchestrator.jobs.submissions import Submission, read_taken, take

DEAF = ("sh", "-c", 'trap "" USR2; exec "$@"', "rank")
"""Starts a rank that the word of a near time limit does not end if it comes too early for it."""


@dataclass(frozen=True, slots=True)
class Seat:
    """What one member has: GPUs, none where there are none, and the number of its place."""

    gpus: tuple[str, ...]
    number: int = 0


class Line(Protocol):
    """Members of a submission that wait for a place in a pool."""

    waiting: deque[int]
    """Those that it may still start, in order."""
    resumes: bool
    """Whether the pool, once it is asked to stop, starts again and goes on with what is left."""

    before: tuple[str, ...]
    """Words before a rank's command."""

    def next(self, taken: Sequence[Seat]) -> tuple[int, Seat] | None:
        """The member to be started now, struck off the line; None while there is no place."""
        ...

    def withdraw(self, index: int) -> bool:
        """Strike a member off; False where another pool has it."""
        ...


@dataclass
class MachineLine:
    """A pool of this machine, after the older pools of its root.

    While one of them has members waiting it starts nothing, and their running members, those that
    outlived their pool included, count as its own.
    """

    root: Root
    submission: Submission
    gpus: tuple[str, ...]
    waiting: deque[int] = field(init=False)
    older: list[Submission] = field(init=False)
    """The pools before this one in the line; those that have ended are struck off."""
    resumes: bool = False
    before: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.waiting = deque(range(len(self.submission.jobs)))
        every = read_submissions(self.root)
        self.older = every[: [one.token for one in every].index(self.submission.token)]

    def next(self, taken: Sequence[Seat]) -> tuple[int, Seat] | None:
        if not self.waiting or (seat := self._free(taken)) is None:
            return None
        return self.waiting.popleft(), seat

    def withdraw(self, index: int) -> bool:
        self.waiting.remove(index)
        return True

    def _free(self, own: Sequence[Seat]) -> Seat | None:
        others = list(self._older_pools())
        if any(waiting for waiting, _ in others):
            return None
        taken = [gpus for _, running in others for gpus in running] + [one.gpus for one in own]
        if len(taken) >= (self.submission.max_parallel or 1):
            return None
        if not self.gpus:
            return Seat(())
        free = [gpu for gpu in self.gpus if not any(gpu in gpus for gpus in taken)]
        wanted = self.submission.placement.ranks
        return Seat(tuple(free[:wanted])) if len(free) >= wanted else None

    def _older_pools(self) -> Iterator[tuple[int, list[tuple[str, ...]]]]:
        """Of each older pool on this machine: members waiting, GPUs of members running."""
        for other in list(self.older):
            log, alive = look_at_pool(self.root.submission(other.token).pool)
            if log is None:
                continue
            running = [log.started[i] for i in log.running()]
            here = [one.gpus for one in running if alive or one.process.alive()]
            if alive:
                yield len(other.jobs) - len(set(log.started) | set(log.ended)), here
            elif here:
                yield 0, here
            else:
                self.older.remove(other)


@dataclass
class AllocationLine:
    """A pool inside an allocation of a cluster, which shares its line with the others.

    A member goes to the first allocation that has a place for it, by a mark that only one can make,
    and stays its own: what ended with an earlier start of the allocation comes first in the next.
    """

    folder: SubmissionFolder
    allocation: int
    restart: int
    seats: tuple[Seat, ...]
    waiting: deque[int]
    mine: frozenset[int]
    """Members of it that an earlier start of the allocation had taken."""
    resumes: bool = True
    before: tuple[str, ...] = DEAF

    @classmethod
    def of(
        cls,
        folder: SubmissionFolder,
        submission: Submission,
        allocation: int,
        *,
        restart: int,
        gpus: Sequence[str],
    ) -> Self:
        """The line as it is when this start of the allocation begins."""
        pools = read_pools(folder)
        owners = read_taken(folder, but=pools.ended)
        left = [index for index in range(len(submission.jobs)) if index not in pools.ended]
        mine = [index for index in left if owners.get(index) == allocation]
        free = [index for index in left if index not in owners]
        return cls(
            folder,
            allocation,
            restart,
            seats(submission.places, submission.placement.ranks, gpus),
            deque([*mine, *free]),
            frozenset(mine),
        )

    def next(self, taken: Sequence[Seat]) -> tuple[int, Seat] | None:
        seat = next((seat for seat in self.seats if seat not in taken), None)
        if seat is None or not self.waiting:
            return None
        if self._superseded():
            self.waiting.clear()
        while self.waiting:
            if self.withdraw(index := self.waiting[0]):
                return index, seat
        return None

    def withdraw(self, index: int) -> bool:
        ours = index in self.mine or take(self.folder, index, self.allocation)
        self.waiting.remove(index)
        return ours

    def _superseded(self) -> bool:
        """Whether a later start of the allocation is at work: its node was only thought lost."""
        starts = self.folder.allocation_pools()
        return any(a == self.allocation and r > self.restart for a, r in starts)


def seats(places: int, ranks: int, gpus: Sequence[str]) -> tuple[Seat, ...]:
    """The places of an allocation; each rank's GPU follows the one of the rank before it.

    Shared in turn, no GPU has more jobs than another by more than one, and a job has different
    ones as long as there are as many as ``ranks``.
    """
    each = ranks if gpus else 0
    return tuple(
        Seat(tuple(gpus[(place * ranks + rank) % len(gpus)] for rank in range(each)), place)
        for place in range(places)
    )


def visible_gpus() -> tuple[str, ...]:
    """GPUs of this machine that this process may use, by number or by name (UUID)."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is None:
        return tuple(map(str, range(len(list(Path("/proc/driver/nvidia/gpus").glob("*"))))))
    named = [part.strip() for part in allowed.split(",")]
    return tuple(part for part in named if part.isdigit() or part.startswith(("GPU-", "MIG-")))
