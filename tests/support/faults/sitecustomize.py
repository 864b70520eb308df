"""Kills a worker with signal 9 in the middle of a file operation, once; for tests.

A folder with this file stands on PYTHONPATH. $KILL_AT names the operation, $KILLED_ONCE a file
that is made when it struck, so that the next start is left alone.
"""

import os
import pathlib
import signal
import sys
from typing import Any

_write_bytes = pathlib.Path.write_bytes
_rename = os.rename
_fsync = os.fsync


def _strike() -> None:
    try:
        os.close(os.open(os.environ["KILLED_ONCE"], os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def _half_written_state(path: pathlib.Path, data: bytes) -> int:
    if path.name == "state.pt" and _is_late(path):
        _write_bytes(path, data[: len(data) // 2])
        _strike()
    return _write_bytes(path, data)


def _before_publishing(source: Any, target: Any, **options: Any) -> None:
    if "checkpoints" in str(target) and _is_late(pathlib.Path(target)):
        _strike()
    _rename(source, target, **options)


def _after_publishing(source: Any, target: Any, **options: Any) -> None:
    _rename(source, target, **options)
    if "checkpoints" in str(target) and _is_late(pathlib.Path(target)):
        _strike()


def _half_of_weights(path: pathlib.Path, data: bytes) -> int:
    if path.name == "weights.pt":
        _write_bytes(path, data[: len(data) // 2])
        _strike()
    return _write_bytes(path, data)


def _after_weights(count: int) -> Any:
    """After so many were published."""

    def rename(source: Any, target: Any, **options: Any) -> None:
        _rename(source, target, **options)
        folder = pathlib.Path(target).parent
        if folder.name == "weights" and len(list(folder.iterdir())) >= count:
            _strike()

    return rename


def _is_late(path: pathlib.Path) -> bool:
    """Not at the first checkpoint, so that there is one to go back to."""
    folder = next(parent for parent in path.parents if parent.name == "checkpoints")
    return any(not entry.name.startswith(".tmp-") for entry in folder.iterdir())


if "orchestrator.worker" in sys.orig_argv:
    match os.environ.get("KILL_AT"):
        case "half a checkpoint":
            pathlib.Path.write_bytes = _half_written_state  # type: ignore[assignment,method-assign]
        case "journal synced, checkpoint not published":
            os.rename = _before_publishing
        case "checkpoint published":
            os.rename = _after_publishing
        case "half of weights":
            pathlib.Path.write_bytes = _half_of_weights  # type: ignore[assignment,method-assign]
        case "weights published":
            os.rename = _after_weights(1)
        case "last weights published":
            os.rename = _after_weights(3)
