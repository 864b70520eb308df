"""The weights that workers leave for good: where they lie, which of them count, are they sound."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import RootError
from orchestrator.jobs.facts import Attempt, final_attempt
from orchestrator.jobs.files import read_record
from orchestrator.jobs.layout import JobFolder

FILE, META = "weights.pt", "meta.json"
_NAME = re.compile(r"(?P<attempt>\d+)-(?P<step>\d+)")


@dataclass(frozen=True, slots=True, order=True)
class Saved:
    """A checkpoint, or weights: what an attempt published of a step."""

    step: int
    attempt: int
    path: Path


def saved_in(folder: Path) -> list[Saved]:
    """What a folder of checkpoints or of weights holds, ascending by step."""
    found = ((_NAME.fullmatch(path.name), path) for path in folder.glob("*-*"))
    return sorted(Saved(int(name["step"]), int(name["attempt"]), p) for name, p in found if name)


def still_count(found: Sequence[Saved], attempts: Sequence[Attempt]) -> list[Saved]:
    """Those of which the step was not left again: no later attempt resumed below it."""
    starts = [(a.number, a.from_step) for a in attempts if a.from_step is not None]
    return [
        one
        for one in found
        if not any(number > one.attempt and start < one.step for number, start in starts)
    ]


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
