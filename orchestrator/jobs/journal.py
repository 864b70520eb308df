"""An attempt's append-only record of what was measured, and its fold over attempts: the truth."""

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from orchestrator.jobs.files import refuse_newer, sync_folder

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Point:
    """Metrics measured after ``step`` optimiser steps, when ``epoch`` epochs were complete."""

    time: float
    step: int
    epoch: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Journal:
    """One attempt's journal. ``from_step`` None: it trained from the start."""

    attempt: int
    from_step: int | None
    steps: int
    """Steps of the whole job."""
    points: tuple[Point, ...]

    @property
    def start(self) -> int:
        """The last step whose measurements of earlier attempts still count; -1 for none."""
        return -1 if self.from_step is None else self.from_step


@dataclass(frozen=True, slots=True)
class History:
    """What a job measured over all its attempts, each step once, in order."""

    points: tuple[Point, ...]

    def last(self) -> dict[str, float]:
        """The newest value of every metric."""
        return {key: value for point in self.points for key, value in point.metrics.items()}


def fold(attempts: Sequence[Journal]) -> History:
    """Join journals in the order of attempts.

    An attempt that resumed from step s replaces what earlier ones measured beyond s.
    """
    points: list[Point] = []
    for journal in attempts:
        points = [point for point in points if point.step <= journal.start]
        points.extend(journal.points)
    return History(tuple(points))


def read_journal(path: Path, attempt: int) -> Journal | None:
    """The journal at ``path``, or None when it is not there or has no readable header.

    A last line without its end was being written when the writer died, and is ignored. So is any
    line that cannot be read: a machine that crashed may leave such ones, but only after the last
    checkpoint, before which the journal was synced; whoever resumes there measures them again.

    Raises:
        RootError: it is of a newer version.
    """
    try:
        header, *lines = path.read_bytes().split(b"\n")[:-1]
        first = json.loads(header)
        refuse_newer(path, first["schema"], SCHEMA)
        from_step, steps = first["from_step"], first["steps"]
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError, KeyError):
        return None
    points = (_point(line) for line in lines)
    return Journal(attempt, from_step, steps, tuple(p for p in points if p is not None))


def read_start(path: Path) -> int | None:
    """The step that the journal at ``path`` goes on from; -1: the start, None: no journal yet.

    Raises:
        RootError: it is of a newer version.
    """
    try:
        with path.open("rb") as file:
            first = json.loads(file.readline())
        refuse_newer(path, first["schema"], SCHEMA)
        from_step = first["from_step"]
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError, KeyError):
        return None
    return -1 if from_step is None else int(from_step)


def _point(line: bytes) -> Point | None:
    """None for a line of another kind, and for one that cannot be read."""
    try:
        entry = json.loads(line)
        metrics = {key: float(value) for key, value in entry["m"].items()}
        return Point(entry["t"], entry["step"], entry["epoch"], metrics)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


@dataclass(frozen=True, slots=True)
class Header:
    """The first line of a journal."""

    job: str
    attempt: int
    from_step: int | None
    steps: int


class JournalWriter:
    """Appends to the journal of a running attempt."""

    def __init__(self, path: Path, header: Header) -> None:
        self._file = path.open("xb")
        self._append({"schema": SCHEMA, **asdict(header)})
        sync_folder(path.parent)

    def point(self, step: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """Record metrics; non-finite ones as the strings nan, inf, -inf."""
        plain = plain_metrics(metrics)
        self._append({"t": time.time(), "step": step, "epoch": epoch, "m": plain})

    def sync(self) -> None:
        """Make everything written so far durable."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self.sync()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _append(self, entry: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(entry, allow_nan=False).encode() + b"\n")
        self._file.flush()


def plain_metrics(metrics: Mapping[str, float]) -> dict[str, float | str]:
    """Metrics as JSON takes them: non-finite ones are the strings nan, inf, -inf."""
    return {k: value if math.isfinite(value) else str(value) for k, value in metrics.items()}
