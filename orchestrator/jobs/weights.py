"""The weights that workers leave for good: which are the final ones, are they sound."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from orchestrator.errors import RootError
from orchestrator.jobs.facts import Attempt, final_attempt
from orchestrator.jobs.files import read_record
from orchestrator.jobs.layout import JobFolder
from orchestrator.jobs.saved import saved_in, still_count

FILE, META = "weights.pt", "meta.json"


def final_weights(job: JobFolder, attempts: Sequence[Attempt]) -> Path | None:
    """The weights of the last step of a job that is done; None where they are not there.

    No checkpoint that counts is of a later step: what they say is then of no more use.
    """
    final = final_attempt(attempts)
    found = still_count(saved_in(job.weights), attempts)
    if final is None or not found:
        return None
    states = still_count(saved_in(job.checkpoints), attempts)
    last = max([final.step, *(state.step for state in states)])
    return found[-1].path if found[-1].step >= last else None


def is_sound(weights: Path) -> bool:
    """Whether the file is the one that was published; it is read to its end."""
    try:
        wanted = read_record(weights / META).get("sha256")
        with (weights / FILE).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == wanted
    except (OSError, RootError):
        return False
