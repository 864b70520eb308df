"""Naming a process so that it cannot be mistaken for a later one of the same number (Linux)."""

import getpass
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class Process:
    """A process by host, boot, number and start time (clock ticks since boot).

    A host is its name and the namespace of its process numbers: containers may share the name.
    """

    host: str
    boot: str
    pid: int
    start: int

    @classmethod
    def named(cls, name: str) -> Self:
        """The process that ``str`` of one wrote down.

        Raises:
            ValueError: ``name`` is not of the form host:boot:pid:start.
        """
        host, boot, pid, start = name.rsplit(":", 3)
        return cls(host, boot, int(pid), int(start))

    def __str__(self) -> str:
        return f"{self.host}:{self.boot}:{self.pid}:{self.start}"

    def alive(self) -> bool | None:
        """Whether it runs; None where it cannot be seen: on another host, or hidden."""
        if self.host != _host():
            return None
        try:
            return self.boot == _boot() and _start_of(self.pid) == self.start
        except PermissionError:
            return None


def this_process() -> Process:
    """The running process."""
    return process(os.getpid())


def process(pid: int) -> Process:
    """The process with this number on this host; if it has ended, one that is not alive."""
    return Process(_host(), _boot(), pid, _start_of(pid) or 0)


def user_name() -> str:
    """Who runs this process; by number where the system knows no name (some containers)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


@cache
def _host() -> str:
    namespace = str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")
    return f"{socket.gethostname()}/{namespace}"


@cache
def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _start_of(pid: int) -> int | None:
    """Start time from /proc; None for a process that is gone or only waits to be reaped.

    Raises:
        PermissionError: it is there, but another user's and hidden (hidepid, usual on clusters).
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()  # the program's name may be any bytes
    except (FileNotFoundError, ProcessLookupError):
        with suppress(ProcessLookupError):
            os.kill(pid, 0)
        return None
    state, *fields = stat[stat.rindex(b")") + 2 :].split()
    return None if state in (b"Z", b"X") else int(fields[18])
