"""The lease of a root: at most one verb submits at a time.

``lease/`` is held while it contains a file; that file is named after its holder. Taking renames
a filled folder onto ``lease/``, which fails while somebody's file is in it; taking over a stale
one renames that very file away, which only one of several can do.
"""

import errno
import getpass
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import BusyError, RootError
from orchestrator.jobs.clock import file_time
from orchestrator.jobs.files import publishing_folder, to_json
from orchestrator.jobs.layout import Root

RENEW_S = 30.0
STALE_S = 300.0
WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that was taken."""

    file: Path

    def mine(self) -> bool:
        """Whether it still is: a stale one may have been taken over."""
        return self.file.exists()


@contextmanager
def leased(root: Root, verb: str, *, wait_s: float = WAIT_S) -> Iterator[Lease]:
    """Hold the root's lease during the block, renewing it.

    Raises:
        BusyError: somebody else held it for ``wait_s`` seconds; who, is named.
        RootError: the root cannot be written.
    """
    lease = _take(root, verb, time.monotonic() + wait_s)
    done = threading.Event()
    renewer = threading.Thread(target=_renew, args=(lease, done), daemon=True)
    renewer.start()
    try:
        yield lease
    finally:
        done.set()
        renewer.join()
        lease.file.unlink(missing_ok=True)


def _take(root: Root, verb: str, deadline: float) -> Lease:
    me = uuid.uuid4().hex
    record = {
        "who": getpass.getuser(),
        "verb": verb,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": time.time(),
    }
    while True:
        try:
            with publishing_folder(root.lease) as folder:
                (folder / f"{me}.json").write_bytes(to_json(record))
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise RootError(f"{root.path} cannot be written: {error.strerror}") from None
            _clear_stale(root)
            if time.monotonic() > deadline:
                raise BusyError(_held_by(root)) from None
            time.sleep(0.2)
        else:
            return Lease(root.lease / f"{me}.json")


def _renew(lease: Lease, done: threading.Event) -> None:
    while not done.wait(RENEW_S):
        try:
            os.utime(lease.file)
        except FileNotFoundError:
            return


def _clear_stale(root: Root) -> None:
    for file in root.lease.glob("*.json"):
        try:
            if file_time(root.path) - file.stat().st_mtime > STALE_S:
                file.rename(root.path / f".tmp-stale-{file.name}")
                (root.path / f".tmp-stale-{file.name}").unlink()
        except FileNotFoundError:
            continue


def _held_by(root: Root) -> str:
    for file in root.lease.glob("*.json"):
        try:
            holder = json.loads(file.read_bytes())
        except FileNotFoundError:
            continue
        return (
            f"The run root {root.path} is being written by '{holder['verb']}' of {holder['who']} "
            f"on {holder['host']} (process {holder['pid']}). Try again when it has ended."
        )
    return f"The run root {root.path} is busy. Try again."
