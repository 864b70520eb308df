"""What attempts leave of a job, by step: where it lies, and which of it still counts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.jobs.facts import Attempt

_NAME = re.compile(r"(?P<attempt>\d+)-(?P<step>\d+)(\.npz)?")


@dataclass(frozen=True, slots=True, order=True)
class Saved:
    """A checkpoint, weights, or a probe: what an attempt published of a step."""

    step: int
    attempt: int
    path: Path


def saved_in(folder: Path) -> list[Saved]:
    """What a folder of checkpoints, of weights or of probes holds, ascending by step."""
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
