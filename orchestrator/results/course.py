"""The course of a job: what it measured, and what it had spent by then."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.jobs.journal import Journal, Point

HOUR_S = 3600.0
Timed = tuple[Point, float]
"""A point, and the seconds of work behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A point of a job's course.

    Attributes:
        step: optimiser steps taken.
        epoch: epochs complete.
        hours: by the clock, of all attempts from their starts on, without work that was lost; None
            of a job that trains nothing.
        macs: multiply-accumulates of training; None where they are not known.
        metrics: what was measured there.
    """

    step: int
    epoch: int
    hours: float | None
    macs: float | None
    metrics: Mapping[str, float]


def course(
    journals: Sequence[Journal],
    began: Mapping[int, float],
    macs_per_step: float | None,
    metrics: Collection[str],
) -> tuple[Mark, ...]:
    """The points of a job's journals that count, and its last one, with these metrics of them.

    Args:
        journals: of the attempts that are not discarded, oldest first.
        began: by number of an attempt, when it started; UTC epoch seconds.
        macs_per_step: of a training step; None: not known.
        metrics: those that are kept.
    """
    timed = elapsed(journals, began)
    found = [
        Mark(
            step=point.step,
            epoch=point.epoch,
            hours=seconds / HOUR_S,
            macs=None if macs_per_step is None else macs_per_step * point.step,
            metrics={name: at for name, at in point.metrics.items() if name in metrics},
        )
        for point, seconds in timed
    ]
    return tuple(one for one in found if one.metrics or one is found[-1])


def elapsed(journals: Sequence[Journal], began: Mapping[int, float]) -> list[Timed]:
    """The points that count, as in the fold, and the seconds of work behind each.

    What an attempt did beyond the step from which a later one went on is not counted; the time of
    that step is told in proportion between the points around it. Start-up counts, once for each
    attempt.
    """
    kept: list[Timed] = []
    for journal in journals:
        before = _seconds_at(kept, journal.start)
        start = began.get(journal.attempt, journal.points[0].time if journal.points else 0.0)
        kept = [(point, spent) for point, spent in kept if point.step <= journal.start]
        kept += [(point, before + max(0.0, point.time - start)) for point in journal.points]
    return kept


def _seconds_at(timed: Sequence[Timed], step: int) -> float:
    """The seconds behind a step of which there need be no point."""
    last, spent = 0, 0.0
    for point, seconds in timed:
        if point.step > step:
            share = max(0, step - last) / (point.step - last) if step > 0 else 0.0
            return spent + share * (seconds - spent)
        last, spent = point.step, seconds
    return spent
