"""Processes of this machine: which are alive, and how they are ended."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from signal import Signals


@dataclass(frozen=True)
class Process:
    """A process by number and start, so that a later one of the same number is never hit."""

    pid: int
    start: str | None

    @classmethod
    def numbered(cls, pid: int) -> "Process":
        """The process that has this number now; one that is not alive where there is none."""
        try:
            state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return cls(pid, None)
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return cls(pid, None if state in "ZX" else f"{boot}:{fields[18]}")

    def alive(self) -> bool:
        return self.start is not None and Process.numbered(self.pid) == self

    def send(self, number: Signals) -> None:
        with suppress(ProcessLookupError):
            if self.alive():
                os.kill(self.pid, number)

    def stop(self, *signals: Signals) -> None:
        """Sends one signal after the other, until it has ended."""
        for number in signals:
            self.send(number)
            if wait_until(lambda: not self.alive(), 10):
                return


def told_of(conf: str) -> Iterator[Process]:
    """Each slurmd of this slurm.conf and what it has started: only a slurmd hands both words on."""
    for entry in Path("/proc").glob("[0-9]*"):
        process = Process.numbered(int(entry.name))
        try:
            words = (entry / "environ").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        node = any(word.startswith("SLURMD_NODENAME=") for word in words)
        if node and f"SLURM_CONF={conf}" in words:
            yield process


def wait_until(condition: Callable[[], bool], patience_s: float) -> bool:
    end = time.monotonic() + patience_s
    while not (holds := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return holds
