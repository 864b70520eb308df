"""Rank 0's records of a running attempt: heartbeat, journal, errors, exit."""

import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.jobs.facts import Ending
from orchestrator.jobs.files import publish, to_json
from orchestrator.jobs.layout import AttemptFolder, JobFolder

BEAT_S = 30.0
MESSAGE = 400
"""Characters of an error's message that are kept; all of it is in the log."""
SUPERSEDED = 76
"""Exit code of a rank 0 that found a later attempt on its job (sysexits.h: EX_PROTOCOL)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a task ended, and what else its exit is to say."""

    ending: Ending
    facts: Mapping[str, Any] = field(default_factory=dict)


@contextmanager
def heartbeat(job: JobFolder, attempt: AttemptFolder) -> Iterator[None]:
    """Show every 30 s that the attempt lives; end the process if a later attempt took over."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(BEAT_S):
            with suppress(OSError):  # a file server may be away for a while
                leave_if_superseded(job, attempt)
                os.utime(attempt.journal if attempt.journal.exists() else attempt.started)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def leave_if_superseded(job: JobFolder, attempt: AttemptFolder) -> None:
    """End this process at once if a later attempt stands: nothing more may be written."""
    newest = job.attempt_numbers()[-1]
    if newest > attempt.number:
        print(f"attempt {newest} took over; leaving", flush=True)
        os._exit(SUPERSEDED)


def write_error(attempt: AttemptFolder, rank: int, error: BaseException) -> None:
    """Write down why this rank failed."""
    traceback.print_exception(error)
    record = {
        "rank": rank,
        "time": time.time(),
        "exception": type(error).__name__,
        "message": " ".join(str(error).split())[:MESSAGE],
    }
    publish(attempt.error(rank), to_json(record))


def write_exit(attempt: AttemptFolder, ending: Ending, **facts: Any) -> None:
    """Rank 0's last act."""
    publish(attempt.exit, to_json({"end": ending.value, "time": time.time(), **facts}))


def redirect_output(path: Path) -> None:
    """Send what this process and its libraries print to ``path`` from now on."""
    sys.stdout.flush()
    sys.stderr.flush()
    with path.open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
