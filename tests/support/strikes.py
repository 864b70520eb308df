"""Counts what a process does to a folder and which commands it calls, and strikes at one of these.

Audit hooks tell before each operation; before the next one is after the last. A write can be torn,
and a command may just have been started: these are operations of their own.
"""

import errno
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGED = {
    **dict.fromkeys(("os.rename", "os.link", "os.symlink"), 1),
    **dict.fromkeys(("open", "os.mkdir", "os.remove", "os.rmdir"), 0),
    **dict.fromkeys(("os.utime", "os.chmod", "os.truncate"), 0),
}
"""By audit event, the place among its words of the path that it changes."""
BELOW_A_FOLDER = ("os.remove", "os.rmdir")
"""Their second word may be an open folder, to which the path is relative."""
NEEDS_SPACE = ("open", "write", "fsync", "os.rename", "os.link", "os.symlink", "os.mkdir")
"""Operations that a full disk may refuse."""
DISKS = {"full": errno.ENOSPC, "quota": errno.EDQUOT}
KILL = "kill"


@dataclass
class Strikes:
    """``how``: KILL ends the process at operation ``at``; a disk fails from there on."""

    folder: Path
    told: Path
    at: int | None
    how: str
    count: int = 0

    def install(self) -> None:
        """In a process that does nothing else afterwards: audit hooks stay."""
        self._log = os.open(self.told, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        fsync, popen, opened = os.fsync, subprocess.Popen.__init__, io.open

        def counted_fsync(file: Any) -> None:
            self.operation("fsync")
            fsync(file)

        def counted_popen(process: Any, args: Any, *more: Any, **options: Any) -> None:
            popen(process, args, *more, **options)
            self.operation(f"started {_command(args)}")

        def counted_open(file: Any, mode: str = "r", *more: Any, **options: Any) -> Any:
            if mode in ("wb", "xb") and self._is_ours(file):
                return _Torn(io.FileIO(file, mode), self)
            return opened(file, mode, *more, **options)

        os.fsync, io.open = counted_fsync, counted_open
        subprocess.Popen.__init__ = counted_popen  # type: ignore[method-assign]
        sys.addaudithook(self._heard)

    def operation(self, name: str, before: Callable[[], object] = lambda: None) -> None:
        """Strike if this is the one; ``before`` is what has happened of it by then."""
        struck = self.at is not None and self.count >= self.at
        self.count += 1
        os.write(self._log, f"{name}\n".encode())
        if not struck:
            return
        if self.how == KILL:
            before()
            os.kill(os.getpid(), signal.SIGKILL)
        elif name.split(maxsplit=1)[0] in NEEDS_SPACE:
            before()
            raise OSError(DISKS[self.how], os.strerror(DISKS[self.how]))

    def _heard(self, event: str, words: tuple[Any, ...]) -> None:
        if event == "subprocess.Popen":
            self.operation(f"start {_command(words[1])}")
        elif event in CHANGED and (event != "open" or words[2] & WRITING):
            path = words[CHANGED[event]]
            if event in BELOW_A_FOLDER and words[1] != -1:
                path = Path(f"/proc/self/fd/{words[1]}").readlink() / os.fsdecode(path)
            if self._is_ours(path):
                self._on_a_path(event, os.fsdecode(path))

    def _on_a_path(self, event: str, path: str) -> None:
        try:
            self.operation(f"{event} {os.path.relpath(path, self.folder)}")
        except OSError as error:
            error.filename = path
            raise

    def _is_ours(self, path: Any) -> bool:
        return isinstance(path, str | bytes | os.PathLike) and os.fsdecode(path).startswith(
            str(self.folder)
        )


class _Torn(io.BufferedWriter):
    """A file whose writes may end in their middle."""

    def __init__(self, raw: io.FileIO, strikes: Strikes) -> None:
        super().__init__(raw)
        self._strikes = strikes

    def write(self, content: Any) -> int:
        half = bytes(content)[: len(content) // 2]
        self._strikes.operation("write", lambda: os.write(self.fileno(), half))
        return super().write(content)


def _command(args: Any) -> str:
    """The program's name; of what only runs another, the other's."""
    words = [args] if isinstance(args, str | bytes) else list(map(os.fsdecode, args))
    names = [Path(os.fsdecode(word)).name for word in words]
    return "sbatch" if "sbatch" in names else names[0]
