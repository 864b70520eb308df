"""The time of the file server, against which the ages of files on it are measured."""

import time
import uuid
from pathlib import Path


def file_time(folder: Path) -> float:
    """UTC epoch seconds as the file system of ``folder`` tells it.

    Falls back on this machine's clock where the folder cannot be written (a reader's status).
    """
    probe = folder / f".tmp-clock-{uuid.uuid4().hex[:12]}"
    try:
        probe.touch(exist_ok=False)
    except OSError:
        return time.time()
    try:
        return probe.stat().st_mtime
    finally:
        probe.unlink(missing_ok=True)
