"""Disturbs a job's first start in the middle of its file operations; for tests.

A folder with this file stands on PYTHONPATH. $KILL_AT names the operation at which a worker is
killed with signal 9, $KILLED_ONCE a file that is made when it struck, so that the next start is
left alone. With $LINGER_S each checkpoint of the job's first attempt takes so many seconds more;
with $UNTIL_TOLD its second one waits until the process has heard a signal.
"""

import os
import pathlib
import signal
import sys
import threading
import time
from typing import Any

_open = pathlib.Path.open
_rename = os.rename
_signal = signal.signal
_told = threading.Event()
LARGE = 1000


def _strike() -> None:
    try:
        os.close(os.open(os.environ["KILLED_ONCE"], os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


class _Halved:
    """A file of which the first half of the first large piece is written, and then it strikes."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, content: bytes) -> int:
        if len(content) < LARGE:
            return self._file.write(content)
        half = len(content) // 2
        written = self._file.write(content[:half])
        self._file.flush()
        _strike()
        return written + self._file.write(content[half:])

    def flush(self) -> None:
        self._file.flush()


def _halving(name: str) -> Any:
    def open_halved(path: pathlib.Path, mode: str = "r", *rest: Any, **options: Any) -> Any:
        file = _open(path, mode, *rest, **options)
        if path.name != name or mode != "xb" or (name == "state.pt" and not _is_late(path)):
            return file
        return _Halved(file)

    return open_halved


def _before_publishing(source: Any, target: Any, **options: Any) -> None:
    if "checkpoints" in str(target) and _is_late(pathlib.Path(target)):
        _strike()
    _rename(source, target, **options)


def _after_publishing(source: Any, target: Any, **options: Any) -> None:
    _rename(source, target, **options)
    if "checkpoints" in str(target) and _is_late(pathlib.Path(target)):
        _strike()


def _after_weights(count: int) -> Any:
    """After so many were published."""

    def rename(source: Any, target: Any, **options: Any) -> None:
        _rename(source, target, **options)
        folder = pathlib.Path(target).parent
        if folder.name == "weights" and len(list(folder.iterdir())) >= count:
            _strike()

    return rename


def _lingering(seconds: float) -> Any:
    def rename(source: Any, target: Any, **options: Any) -> None:
        path = pathlib.Path(target)
        if path.parent.name == "checkpoints" and path.name.startswith("001-"):
            time.sleep(seconds)
        _rename(source, target, **options)

    return rename


def _until_told(source: Any, target: Any, **options: Any) -> None:
    path = pathlib.Path(target)
    if path.parent.name == "checkpoints" and path.name.startswith("001-") and _is_late(path):
        _told.wait()
    _rename(source, target, **options)


def _telling(number: int, handler: Any) -> Any:
    """As ``signal.signal``, and whoever waits hears of it as well."""

    def handle(*heard: Any) -> None:
        _told.set()
        handler(*heard)

    return _signal(number, handle if callable(handler) else handler)


def _is_late(path: pathlib.Path) -> bool:
    """Not at the first checkpoint, so that there is one to go back to."""
    folder = next(parent for parent in path.parents if parent.name == "checkpoints")
    return any(not entry.name.startswith(".tmp-") for entry in folder.iterdir())


if "orchestrator.worker" in sys.orig_argv:
    match os.environ.get("KILL_AT"):
        case "half a checkpoint":
            pathlib.Path.open = _halving("state.pt")  # type: ignore[method-assign]
        case "journal synced, checkpoint not published":
            os.rename = _before_publishing
        case "checkpoint published":
            os.rename = _after_publishing
        case "half of weights":
            pathlib.Path.open = _halving("weights.pt")  # type: ignore[method-assign]
        case "weights published":
            os.rename = _after_weights(1)
        case "last weights published":
            os.rename = _after_weights(3)
    if "LINGER_S" in os.environ:
        os.rename = _lingering(float(os.environ["LINGER_S"]))
    if "UNTIL_TOLD" in os.environ:
        os.rename, signal.signal = _until_told, _telling
