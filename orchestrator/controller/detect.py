"""What difference between the arms of a planned sweep its seeds would tell."""

import math
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from orchestrator.config import RunConfig
from orchestrator.controller.outline import arms_of, outlines_of
from orchestrator.documents.launches import PlanPromise
from orchestrator.errors import SpecError
from orchestrator.jobs.facts import Ending
from orchestrator.jobs.layout import Root
from orchestrator.jobs.settled import Settled, recall
from orchestrator.results.contrasts import pooled
from orchestrator.results.power import detectable
from orchestrator.sweep.expand import Sweep

METRIC = "val/top1"
ASSUMED = 0.3
"""Points: the deviation over seeds of small transformers on a hundred classes is 0.2 to 0.4."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What a sweep's seeds would tell of `METRIC`, in points.

    Attributes:
        seeds: of the arm that has fewest.
        deviation: over seeds, that is taken.
        arms: of so many past arms of the study it is the pooled one; 0: it is assumed.
        difference: Welch's test of two such arms finds it in 80 % of studies, before Holm; None: of
            one seed.
    """

    seeds: int
    deviation: float
    arms: int
    difference: float | None

    def __str__(self) -> str:
        """A sentence for the plan."""
        if self.difference is None:
            return "No test tells an arm of one seed from another."
        known = f"of {self.arms} arms of this study" if self.arms else "assumed"
        return (
            f"{self.seeds} seeds an arm tell differences of {self.difference:.2g} points of "
            f"{METRIC} or more in 80 % of studies (one test, before Holm; std "
            f"{self.deviation:.2g}, {known})."
        )

    def to_plain(self) -> PlanPromise:
        """As ``plan --json`` prints it."""
        return {
            "seeds": self.seeds,
            "deviation": self.deviation,
            "arms": self.arms,
            "difference": self.difference,
        }


def promise(root: Root | None, sweep: Sweep) -> Promise | None:
    """What the sweep's seeds would tell; None of one that trains nothing.

    ``root``: where jobs of its study may have run.
    """
    if any(not isinstance(point.config, RunConfig) for point in sweep.points):
        return None
    numbers = arms_of({point.id: point.form["reduced"] for point in sweep.points})
    seeds = min(Counter(numbers.values()).values(), default=0)
    groups = past_groups(root, sweep.study) if root else []
    measured = pooled(groups)
    deviation = measured or ASSUMED
    difference = detectable(deviation, seeds, seeds) if seeds > 1 else None
    arms = len(groups) if measured else 0
    return Promise(seeds=seeds, deviation=deviation, arms=arms, difference=difference)


def past_groups(root: Root, study: str) -> list[list[float]]:
    """Those of a study that are remembered to be done for good; no place is asked."""
    memory, found = recall(root), list[list[float]]()
    with suppress(SpecError):  # nothing of the study was launched yet
        for outline in outlines_of(root, [study]):
            known = {job: memory.settled(job) for job in outline.arms}
            found += by_arm(outline.arms, {job: one for job, one in known.items() if one})
    return found


def by_arm(arms: Mapping[str, int], known: Mapping[str, Settled]) -> list[list[float]]:
    """The last values of `METRIC` of each arm of two or more seeds that finished."""
    found: dict[int, list[float]] = {}
    for job, arm in arms.items():
        if job in known and known[job].outcome == Ending.FINISHED:
            value = known[job].summary.metrics.get(METRIC, math.nan)
            found.setdefault(arm, []).extend([value] if math.isfinite(value) else [])
    return [values for values in found.values() if len(values) > 1]
