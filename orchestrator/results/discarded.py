"""How long the work of each attempt still counts, and how much of its time came to nothing."""

import math
from collections.abc import Mapping, Sequence

from orchestrator.jobs.facts import Attempt, Ending
from orchestrator.jobs.journal import Journal


def counts_until(
    attempts: Sequence[Attempt],
    journals: Mapping[int, Journal],
    over: Mapping[int, float],
    *,
    live: bool,
) -> dict[int, float]:
    """By number, when each attempt did the last of its work that still counts; UTC epoch seconds.

    What it did beyond the step from which a later attempt went on is lost, as in the fold; of an
    attempt that ended otherwise than it should and has no successor yet, what is beyond the newest
    checkpoint. Times between two points of its journal are told in proportion to their steps.

    Args:
        attempts: all on a job, oldest first.
        journals: theirs, by number, as far as there are any.
        over: by number, when each ended; of one that lives, now.
        live: whether the last one lives. Of such a one all counts so far.
    """
    found = {}
    for place, attempt in enumerate(attempts):
        step = _kept_step(attempts, place, live=live and place == len(attempts) - 1)
        end = over[attempt.number]
        found[attempt.number] = min(end, _reached(attempt, journals.get(attempt.number), step, end))
    return found


def _kept_step(attempts: Sequence[Attempt], place: int, *, live: bool) -> float:
    """The last step of an attempt that still counts; -1: none does."""
    attempt = attempts[place]
    if attempt.discarded:
        return -1
    later = [one.from_step for one in attempts[place + 1 :] if one.from_step is not None]
    if later:
        return min(later)
    if live or attempt.ending in (Ending.FINISHED, Ending.DIVERGED):
        return math.inf
    return max(one.saved for one in attempts if not one.discarded)


def _reached(attempt: Attempt, journal: Journal | None, step: float, end: float) -> float:
    """When an attempt had done ``step``: at its start if it went on from there or beyond."""
    began = attempt.start.time
    if math.isinf(step):
        return end
    if journal is None or step <= journal.start:
        return began
    before = (max(journal.start, 0), began)
    for point in journal.points:
        if point.step >= step:
            return _between(before, (point.step, point.time), step)
        before = (point.step, point.time)
    return end if attempt.ending is Ending.STOPPED else before[1]


def _between(before: tuple[int, float], after: tuple[int, float], step: float) -> float:
    """The time of a step between two that are known, each with its time."""
    (first, began), (last, ended) = before, after
    share = (step - first) / (last - first) if last > first else 1.0
    return began + share * (ended - began)
