"""What this rank takes of its machine: memory, processors, and its GPU by the GPU's own counters.

A thread looks every few seconds, so that no step waits for it, and writes at times: of an attempt
that is killed is known what it had taken by then.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from orchestrator.jobs.files import publish
from orchestrator.jobs.layout import AttemptFolder
from orchestrator.jobs.usage import GpuUse, RankUse
from orchestrator.worker.place import Place

LOOK_S = 10.0
WRITE_S = 300.0
GROWTH = 1.1
"""Memory that has grown by so much is written down at once: want of it may end the job soon."""
PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
CPU_FIELDS = slice(11, 15)
"""Of ``/proc/PID/stat`` after the state: time in user and kernel mode, then that of children that
have ended."""
SOURCES = {"pss": ("smaps_rollup", "Pss:"), "rss": ("status", "VmRSS:")}
"""Where the kernel says how much of a process is in memory; the first that can be read counts."""
Fact = TypeVar("Fact")


@dataclass(slots=True)
class Meter:
    """What was seen of this process so far; ``place.local_rank`` is the number of its GPU."""

    place: Place
    began: float = field(default_factory=time.monotonic)
    cpu_s: float = 0.0
    memory: int = 0
    source: str = "pss"
    gpu: GpuUse | None = None
    busy: list[int] = field(default_factory=list)

    def look(self) -> None:
        """Take note of how things are now."""
        processes = family(os.getpid())
        found, self.source = resident(processes)
        # What it held between two looks. (ru_maxrss would be its parent's, if that was larger.)
        own = _kilobytes(os.getpid(), "status", "VmHWM:") * 1024
        self.memory = max(self.memory, found, own)
        self.cpu_s = max(self.cpu_s, sum(map(cpu_seconds, processes)))
        self.gpu = _or_none(self._gpu) or self.gpu

    def use(self) -> RankUse:
        """All of it."""
        return RankUse(
            rank=self.place.rank,
            host=socket.gethostname(),
            seconds=round(time.monotonic() - self.began, 3),
            cpu_s=round(self.cpu_s, 2),
            memory_bytes=self.memory,
            memory_source=self.source,
            gpu=self.gpu,
        )

    def _gpu(self) -> GpuUse | None:
        """None as long as the task has not touched one; to import torch is the task's affair."""
        torch, number = sys.modules.get("torch"), self.place.local_rank
        if torch is None or not torch.cuda.is_initialized():
            return None
        known = torch.cuda.get_device_properties(number)
        busy = _or_none(partial(torch.cuda.utilization, number))
        self.busy += [] if busy is None else [busy]
        now = _or_none(partial(torch.cuda.device_memory_used, number))
        before = self.gpu.used_bytes if self.gpu else None
        return GpuUse(
            name=known.name,
            memory_bytes=known.total_memory,
            peak_bytes=torch.cuda.max_memory_reserved(number),
            used_bytes=max((used for used in (now, before) if used is not None), default=None),
            busy=sum(self.busy) / len(self.busy) / 100 if self.busy else None,
        )


@contextmanager
def metered(attempt: AttemptFolder, place: Place) -> Iterator[None]:
    """Write down what this rank takes while the block runs, and at its end."""
    meter, done = Meter(place), threading.Event()

    def watch() -> None:
        written, at = 0, 0.0
        while not done.wait(LOOK_S):
            meter.look()
            if meter.memory > written * GROWTH or time.monotonic() > at + WRITE_S:
                written, at = meter.memory, time.monotonic()
                _write(attempt, meter)

    thread = threading.Thread(target=watch, daemon=True, name="meter")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        meter.look()
        _write(attempt, meter)


def _write(attempt: AttemptFolder, meter: Meter) -> None:
    with suppress(OSError):  # a file server may be away; no record of a machine is worth a job
        publish(attempt.usage(meter.place.rank), meter.use().to_bytes())


def family(pid: int) -> list[int]:
    """A process and all that descend from it and have not ended."""
    children: dict[int, list[int]] = {}
    for folder in PROC.glob("[0-9]*"):
        told = _stat(int(folder.name))
        if told:
            children.setdefault(int(told[1]), []).append(int(folder.name))
    found = [pid]
    for one in found:
        found += children.get(one, ())
    return found


def resident(processes: list[int]) -> tuple[int, str]:
    """Bytes in memory of these processes together, and how they were counted (see ``RankUse``)."""
    for source, (file, line) in SOURCES.items():
        if found := sum(_kilobytes(pid, file, line) for pid in processes) * 1024:
            return found, source
    return 0, "rss"


def cpu_seconds(pid: int) -> float:
    """Of processors, by a process and those of its children that have ended; 0 once it is gone."""
    return sum(map(int, _stat(pid)[CPU_FIELDS])) / TICKS


def _kilobytes(pid: int, file: str, name: str) -> int:
    """A line of what the kernel says of a process's memory; 0 once it is gone, or hides it."""
    with suppress(OSError), (PROC / str(pid) / file).open() as lines:
        return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0)
    return 0


def _stat(pid: int) -> list[bytes]:
    """What the kernel says of a process, from its state on; nothing once it is gone."""
    try:
        stat = (PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return []
    return stat[stat.rindex(b")") + 2 :].split()  # the program's name may be any bytes


def _or_none(read: Callable[[], Fact]) -> Fact | None:
    try:
        return read()
    except Exception:  # noqa: BLE001 - no record of a machine is worth a job
        return None
