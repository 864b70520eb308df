"""Two journals, curve by curve, and two lists of predictions, image by image."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.jobs.journal import History
from orchestrator.jobs.predictions import Predictions, in_both
from orchestrator.results.statistics import mcnemar

Curve = Mapping[int, float]
"""A metric's values by step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePair:
    """One metric of two runs: their last values, and where they part.

    Attributes:
        metric: its name.
        one: the last value of the first run; ``other`` of the second. None: it measured none.
        parts_at: the first step at which both measured it and differ; None if they never do.
        gap: the largest difference at a step that both measured, the second less the first, and
            ``gap_at`` its step; None without a finite one.
        common: at so many steps both measured it.
    """

    metric: str
    one: float | None
    other: float | None
    parts_at: int | None
    gap: float | None
    gap_at: int | None
    common: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What two runs said of the same images: how many each alone has right, and McNemar's p.

    ``p`` is None where they are not both surely at the end of a run that finished: then their
    epochs differ as well, or what they still had to learn.
    """

    images: int
    both: int
    one: int
    other: int
    p: float | None


def curves(history: History) -> dict[str, dict[int, float]]:
    """Every metric of a job by step."""
    found: dict[str, dict[int, float]] = {}
    for point in history.points:
        for name, value in point.metrics.items():
            found.setdefault(name, {})[point.step] = value
    return found


def pair(metric: str, one: Curve, other: Curve) -> CurvePair:
    """Two curves of one metric, either of which may be empty."""
    common = sorted(one.keys() & other.keys())
    gaps = {step: other[step] - one[step] for step in common}
    finite = {step: gap for step, gap in gaps.items() if math.isfinite(gap)}
    widest = max(finite, key=lambda step: abs(finite[step]), default=None)
    return CurvePair(
        metric=metric,
        one=one[max(one)] if one else None,
        other=other[max(other)] if other else None,
        parts_at=next((step for step in common if not _same(one[step], other[step])), None),
        gap=None if widest is None else finite[widest],
        gap_at=widest,
        common=len(common),
    )


def pairs(one: History, other: History) -> list[CurvePair]:
    """All metrics of either, by name."""
    first, second = curves(one), curves(other)
    names = sorted(first.keys() | second.keys())
    return [pair(name, first.get(name, {}), second.get(name, {})) for name in names]


def answers(one: Predictions, other: Predictions, *, whole: bool = True) -> Answers | None:
    """Of the images of one set that both were asked about; None: there is none.

    ``whole``: whether both are of the end of a run that finished, so that they are tested.
    """
    here, there = in_both(one.key.tolist(), other.key.tolist())
    if not here:
        return None
    first, second = one.right()[here], other.right()[there]
    return Answers(
        images=len(here),
        both=int((first & second).sum()),
        one=int((first & ~second).sum()),
        other=int((second & ~first).sum()),
        p=mcnemar(first, second) if whole else None,
    )


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))
