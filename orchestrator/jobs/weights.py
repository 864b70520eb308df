"""The weights that workers leave for good: which are asked for, are they sound."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.config import Checkpoint
from orchestrator.errors import RootError
from orchestrator.jobs.facts import Attempt, final_attempt
from orchestrator.jobs.files import read_record
from orchestrator.jobs.layout import JobFolder
from orchestrator.jobs.saved import Saved, saved_in, still_count

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


def weights_at(job: JobFolder, attempts: Sequence[Attempt], checkpoint: Checkpoint) -> Path | None:
    """The weights that ``checkpoint`` means of a job that is done; None: they are not there."""
    if checkpoint == "last":
        return final_weights(job, attempts)
    if checkpoint == "best":
        best = still_count(saved_in(job.best), attempts)
        return best[-1].path if best else None
    kept = reversed(still_count(saved_in(job.weights), attempts))
    return next((one.path for one in kept if _epoch(one) == checkpoint), None)


def kept_checkpoints(job: JobFolder, attempts: Sequence[Attempt]) -> list[Checkpoint]:
    """What can be asked for of a job: epochs ascending, then ``best`` and ``last``."""
    epochs = {_epoch(one) for one in still_count(saved_in(job.weights), attempts)}
    named: tuple[Checkpoint, ...] = ("best", "last")
    there = [one for one in named if weights_at(job, attempts, one) is not None]
    return [*sorted(epoch for epoch in epochs if epoch is not None), *there]


def weights_left(job: JobFolder, attempts: Sequence[Attempt]) -> dict[str, str] | None:
    """By checkpoint, the SHA-256 of the weights that a job has left; None: it is not done."""
    if final_attempt(attempts) is None:
        return None
    found = ((one, weights_at(job, attempts, one)) for one in kept_checkpoints(job, attempts))
    return {str(one): _record(path).get("sha256", "") for one, path in found if path}


def are_older(
    read: str, checkpoint: Checkpoint, left: Mapping[str, str] | None, discarded: int
) -> bool:
    """Whether weights that were read are no longer those that their checkpoint means.

    Of weights that are gone nobody knows, unless their job was or is being trained anew.

    Args:
        read: SHA-256 of the weights that were read.
        checkpoint: which of their job's weights they were.
        left: what that job has left now, see `weights_left`.
        discarded: the last of its attempts that were discarded; 0: none was.
    """
    now = (left or {}).get(str(checkpoint))
    return discarded > 0 if now is None else now != read


def _epoch(one: Saved) -> int | None:
    """After which epoch weights were kept; None where that cannot be read."""
    epoch: int | None = _record(one.path).get("epoch")
    return epoch


def _record(weights: Path) -> Mapping[str, Any]:
    """What is written beside weights; nothing where it cannot be read."""
    try:
        return read_record(weights / META)
    except (OSError, RootError):
        return {}


def is_sound(weights: Path) -> bool:
    """Whether the file is the one that was published; it is read to its end."""
    try:
        wanted = read_record(weights / META).get("sha256")
        with (weights / FILE).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == wanted
    except (OSError, RootError):
        return False
