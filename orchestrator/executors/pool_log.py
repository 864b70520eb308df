"""What pools wrote down: their own process, and each member's start and end."""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.jobs.facts import End
from orchestrator.jobs.layout import SubmissionFolder
from orchestrator.jobs.processes import Process, this_process


@dataclass(frozen=True, slots=True)
class Started:
    """A member that was started: rank 0's process, and the GPUs it was given."""

    process: Process
    gpus: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PoolLog:
    """A pool's record. ``touched`` is its heartbeat, file time."""

    process: Process
    touched: float
    started: Mapping[int, Started] = field(default_factory=dict)
    ended: Mapping[int, End] = field(default_factory=dict)

    def running(self) -> list[int]:
        """Members that were started and have not ended, as far as the pool lived to tell."""
        return [index for index in self.started if index not in self.ended]


def read_pool_log(path: Path) -> PoolLog | None:
    """The record at ``path``, or None before the pool has written its first line."""
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
        touched = path.stat().st_mtime
    except FileNotFoundError:
        return None
    if not lines:
        return None
    first, *entries = (json.loads(line) for line in lines)
    started = {
        e["start"]: Started(Process.named(e["process"]), tuple(e["gpus"]))
        for e in entries
        if "start" in e
    }
    ended = {e["end"]: End(**e["how"]) for e in entries if "end" in e}
    return PoolLog(Process.named(first["pool"]), touched, started, ended)


def look_at_pool(path: Path) -> tuple[PoolLog | None, bool | None]:
    """A pool's record, and whether the pool lives; None where this host cannot see.

    Of a pool that is gone the record is read after it went, so that it is complete.
    """
    log = read_pool_log(path)
    alive = log.process.alive() if log else None
    return (read_pool_log(path), alive) if alive is False else (log, alive)


@dataclass(frozen=True, slots=True)
class Pools:
    """What the pools of a cluster's allocations wrote down, every start of each of them.

    ``started``: by member the allocation that started it last, and in which of its starts.
    """

    started: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    ended: Mapping[int, End] = field(default_factory=dict)


def read_pools(folder: SubmissionFolder) -> Pools:
    """The records of all allocations of a submission as one."""
    started: dict[int, tuple[int, int]] = {}
    ended: dict[int, End] = {}
    for start, path in folder.allocation_pools().items():
        if (log := read_pool_log(path)) is not None:
            started |= dict.fromkeys(log.started, start)
            ended |= log.ended
    return Pools(started, ended)


class PoolLogWriter:
    """Appends to a pool's record, durably; only the pool of that submission writes it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("xb")
        self._append({"pool": str(this_process()), "t": time.time()})

    def start(self, index: int, process: Process, gpus: tuple[str, ...]) -> None:
        self._append({"start": index, "process": str(process), "gpus": gpus, "t": time.time()})

    def end(self, index: int, how: End) -> None:
        plain = {name: getattr(how, name) for name in End.__slots__}
        self._append({"end": index, "how": plain})

    def ask(self, index: int) -> None:
        """Tell a member that reads along to stop."""
        self._append({"ask": index, "t": time.time()})

    def beat(self) -> None:
        os.utime(self._path)

    def _append(self, entry: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(entry).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
