"""Leases: one verb at a time submits to a root, mirrors it to a store, or serves a store.

A lease's folder is held while it contains a file; that file is named after its holder. Taking
renames a filled folder onto it, which fails while somebody's file is in it; taking over a stale
one, or that of a process seen gone, renames that very file away, which only one of several can do.
"""

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import BusyError, RootError
from orchestrator.jobs.clock import file_time
from orchestrator.jobs.files import publishing_folder, read_record, to_json
from orchestrator.jobs.processes import Process, this_process, user_name

RENEW_S = 30.0
STALE_S = 300.0
WAIT_S = 60.0
TICK_S = 0.2
TELL_S = 2.0
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that was taken."""

    file: Path

    def mine(self) -> bool:
        """Whether it still is: a stale one may have been taken over. Renews it if so.

        Only a change asks the file server: what a look sees of a network file may be old.
        """
        try:
            os.utime(self.file)
        except FileNotFoundError:
            return False
        return True


@contextmanager
def leased(folder: Path, verb: str, *, wait_s: float = WAIT_S) -> Iterator[Lease]:
    """Hold the lease whose folder this is during the block, renewing it.

    Raises:
        BusyError: somebody else held it for ``wait_s`` seconds; who, is named.
        RootError: the folder cannot be written.
    """
    lease = _take(folder, verb, time.monotonic() + wait_s)
    done = threading.Event()
    renewer = threading.Thread(target=_renew, args=(lease, done), daemon=True)
    renewer.start()
    try:
        yield lease
    finally:
        done.set()
        renewer.join()
        lease.file.unlink(missing_ok=True)


def holder(folder: Path) -> str | None:
    """Who holds the lease whose folder this is, in words; None if nobody does."""
    for file in folder.glob("*.json"):
        with suppress(FileNotFoundError):
            if not _is_stale(file):
                return _named(file)
    return None


def _take(folder: Path, verb: str, deadline: float) -> Lease:
    record = {
        "who": user_name(),
        "verb": verb,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "process": str(this_process()),
        "since": time.time(),
    }
    file = folder / f"{uuid.uuid4().hex}.json"
    began, told = time.monotonic(), False
    while True:
        try:
            if _took(file, record):
                return Lease(file)
            if _clear_stale(folder):
                continue
        except OSError as error:
            raise RootError(f"{folder.parent} cannot be written: {error.strerror}") from None
        now = time.monotonic()
        if now > deadline:
            raise BusyError(_held_by(folder))
        if not told and now > began + TELL_S:
            told = True
            logger.warning("waiting: %s", _held_by(folder))
        time.sleep(TICK_S)


def _took(file: Path, record: dict[str, Any]) -> bool:
    try:
        with publishing_folder(file.parent) as folder:
            (folder / file.name).write_bytes(to_json(record))
    except FileExistsError:
        return False
    return True


def _renew(lease: Lease, done: threading.Event) -> None:
    while not done.wait(RENEW_S):
        with suppress(OSError):  # a file server may be away for a while
            if not lease.mine():
                return


def _clear_stale(folder: Path) -> bool:
    """Whether a stale lease was there, and this call removed it."""
    cleared = False
    for file in folder.glob("*.json"):
        with suppress(FileNotFoundError):
            if _is_stale(file):
                away = folder.parent / f".tmp-stale-{file.name}"
                file.rename(away)
                cleared = True
                away.unlink()
    return cleared


def _is_stale(file: Path) -> bool:
    if file_time(file.parent.parent) - file.stat().st_mtime > STALE_S:
        return True
    known = _holder_of(file)
    return "process" in known and Process.named(known["process"]).alive() is False


def _held_by(folder: Path) -> str:
    return f"{folder} is held by {holder(folder) or 'somebody'}. Try again when that has ended."


def _named(file: Path) -> str:
    known = _holder_of(file)
    verb, who, host, pid = (known.get(k, "?") for k in ("verb", "who", "host", "pid"))
    return f"'{verb}' of {who} on {host} (process {pid})"


def _holder_of(file: Path) -> dict[str, Any]:
    """Who wrote a lease; nothing where that cannot be read: then only its age counts."""
    with suppress(RootError):
        return read_record(file)
    return {}
