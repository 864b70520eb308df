"""What attempts leave of a job, by step: where it lies, and which of it still counts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.jobs.facts import Attempt

_NAME = re.compile(r"(?P<attempt>\d+)-(?P<step>\d+)(\.npz)?")


@dataclass(frozen=True, slots=True, order=True)
class Saved:
    """A checkpoint, weights, a probe, predictions: what an attempt published of a step."""

    step: int
    attempt: int
    path: Path


def saved_name(attempt: int, step: int) -> str:
    """What an attempt calls what it saves of a step; a file's has an ending besides."""
    return f"{attempt:03d}-{step:09d}"


def saved_in(folder: Path) -> list[Saved]:
    """What a folder of checkpoints, weights, probes or predictions holds, ascending by step."""
    found = ((_NAME.fullmatch(path.name), path) for path in folder.glob("*-*"))
    return sorted(Saved(int(name["step"]), int(name["attempt"]), p) for name, p in found if name)


def still_count(found: Sequence[Saved], attempts: Sequence[Attempt]) -> list[Saved]:
    """Those that are of the course which the job took in the end.

    Nothing counts of an attempt that was discarded, nor what an attempt left of steps beyond the
    one from which a later attempt resumed.
    """
    discarded = max((one.number for one in attempts if one.discarded), default=0)
    starts = [(one.number, one.from_step) for one in attempts if one.from_step is not None]
    return [
        one
        for one in found
        if one.attempt > discarded
        and not any(number > one.attempt and start < one.step for number, start in starts)
    ]
