"""Groups of runs against one of them, the baseline: differences, tests, and a word for each.

A group is a method: its values are those of its seeds. All of it is of plain values; only the
functions that test need scipy (the extra ``stats``), so that the classes can be had without.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import fmean
from typing import TYPE_CHECKING

from orchestrator.jobs.predictions import in_both
from orchestrator.results.power import detectable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MARGIN = 0.5
"""Points of accuracy within which two methods are equivalent, unless somebody says otherwise."""
DRAWS = 2000
"""Resamples of a bootstrap, one of which takes half a second for each row of 5,000 images."""


class Verdict(StrEnum):
    """What is known of a group's difference from the baseline, in a word."""

    HIGHER = "higher"
    LOWER = "lower"
    EQUIVALENT = "equivalent"
    UNDECIDED = "undecided"
    ONE_SEED = "one seed"
    """Of either of the two there are fewer than two values: nothing can be tested."""
    MIXED = "mixed"
    """Either of the two is of several methods, and its values no sample: nothing is tested."""


VERDICTS: Mapping[tuple[bool, bool], tuple[Verdict, Verdict]] = {
    (True, False): (Verdict.HIGHER, Verdict.LOWER),
    (True, True): (Verdict.HIGHER, Verdict.LOWER),
    (False, True): (Verdict.EQUIVALENT, Verdict.EQUIVALENT),
    (False, False): (Verdict.UNDECIDED, Verdict.UNDECIDED),
}
"""By whether the difference is significant, and whether its 90 % interval is within the margin: the
word for one above nothing, and for one below. One that is both is there, though it is small."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """What the seeds of a group said of images.

    Attributes:
        keys: of the n images that all its seeds were asked about, each once.
        right: which of them each seed has right, ``(seeds, n)``.
    """

    keys: Sequence[bytes]
    right: "NDArray[np.bool_]"
    less: "Judged | None" = None
    """For a gap: what the same seeds said of the set on which the accuracy is taken off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """One group less the baseline, in the unit of the metric.

    Attributes:
        difference: of the means over seeds; None where either has no value, nan where one is not
            finite.
        ci95: its 95 % interval by Welch's t over seeds; None below two seeds each, where neither
            has any spread, or where one is of several methods. Not adjusted for the number of
            comparisons.
        p: of no difference, two-sided, by Welch's t; None as ``ci95``.
        p_holm: ``p``, adjusted by Holm over all groups that are compared with the baseline.
        p_equivalence: of a difference of ``margin`` or more (the larger of two one-sided tests);
            None as ``ci95``, or where no margin was given. Not adjusted.
        margin: the difference that would matter; None: none was given.
        images: so many images both were asked about, for a gap of both its sets together; 0: none,
            or it is not known.
        images_apart: so many only one of the two was asked about.
        bootstrap95: the 95 % interval of the difference of accuracies (or of gaps) on these, in
            points, over seeds and over images; None: there are none, or one of the two has fewer
            than 2 seeds.
        verdict: what that comes to.
        better: whether the difference is for the better; None: it is not decided, or neither
            direction of this metric is better.
    """

    difference: float | None
    ci95: tuple[float, float] | None = None
    p: float | None = None
    p_holm: float | None = None
    p_equivalence: float | None = None
    margin: float | None = None
    images: int = 0
    images_apart: int = 0
    bootstrap95: tuple[float, float] | None = None
    verdict: Verdict = Verdict.ONE_SEED
    better: bool | None = None


def contrasts(  # noqa: PLR0913 - what a verdict follows from
    values: Sequence[Sequence[float]],
    baseline: int,
    *,
    margin: float | None = MARGIN,
    better: int | None = None,
    judged: Sequence[Judged | None] = (),
    mixed: Collection[int] = (),
    exact: bool = False,
) -> list[Contrast | None]:
    """Every group against the baseline, in the order of ``values``; None stands at the baseline.

    Args:
        values: of each group one value for each seed, those that are missing left out.
        baseline: which of the groups all others are compared with.
        margin: the difference that would matter, in the unit of the values; None: no equivalence
            is tested.
        better: 1: high values are, -1: low ones; None: neither is known to be.
        judged: of each group what its seeds said of images, or None; empty: of none.
        mixed: the groups whose values are of several methods.
        exact: whether the values are counted and not measured, so that where all of a group agree
            no chance is in them and they need no test.

    Raises:
        ModuleNotFoundError: scipy is not installed (`extras.naming_extras` says which extra).
    """
    from orchestrator.results.statistics import LEVEL, holm  # noqa: PLC0415 - of scipy

    untested = {*range(len(values))} if baseline in mixed else {*mixed}
    found = {
        place: (_apart if place in untested else _tested)(group, values[baseline], margin)
        for place, group in enumerate(values)
        if place != baseline
    }
    tested = {place: one.p for place, one in found.items() if one.p is not None}
    adjusted = dict(zip(tested, holm([*tested.values()]), strict=True))
    answers = judged or [None] * len(values)
    told: list[Contrast | None] = [None] * len(values)
    for place, alone in found.items():
        p, group = adjusted.get(place), values[place]
        if place in untested:
            told[place] = replace(alone, verdict=Verdict.MIXED)
            continue
        if exact and len({*group}) == len({*values[baseline]}) == 1:
            verdict = _counted(alone.difference or 0.0)
        elif min(len(group), len(values[baseline])) > 1:
            verdict = _verdict(alone, p, LEVEL)
        else:
            verdict = Verdict.ONE_SEED
        one = _over_images(alone, answers[place], answers[baseline])
        told[place] = replace(one, p_holm=p, verdict=verdict, better=_is_better(verdict, better))
    return told


def _apart(group: Sequence[float], baseline: Sequence[float], margin: float | None) -> Contrast:
    """The difference alone."""
    if not group or not baseline:
        return Contrast(difference=None, margin=margin)
    finite = all(map(math.isfinite, (*group, *baseline)))
    return Contrast(
        difference=fmean(group) - fmean(baseline) if finite else math.nan, margin=margin
    )


def _tested(group: Sequence[float], baseline: Sequence[float], margin: float | None) -> Contrast:
    from orchestrator.results.statistics import welch  # noqa: PLC0415 - of scipy

    one = _apart(group, baseline, margin)
    if one.difference is None or math.isnan(one.difference):
        return one
    found = welch(group, baseline)
    if found is None:
        return one
    equivalent = None if margin is None else found.p_equivalence(margin)
    return replace(one, ci95=found.ci95, p=found.p, p_equivalence=equivalent)


def _counted(difference: float) -> Verdict:
    if not difference:
        return Verdict.EQUIVALENT
    return Verdict.HIGHER if difference > 0 else Verdict.LOWER


def _verdict(one: Contrast, p_holm: float | None, level: float) -> Verdict:
    significant = p_holm is not None and p_holm < level
    within = one.p_equivalence is not None and one.p_equivalence < level
    above, below = VERDICTS[significant, within]
    return above if (one.difference or 0) > 0 else below


def _is_better(verdict: Verdict, better: int | None) -> bool | None:
    if better is None or verdict not in (Verdict.HIGHER, Verdict.LOWER):
        return None
    return (verdict is Verdict.HIGHER) == (better > 0)


def _over_images(one: Contrast, group: Judged | None, baseline: Judged | None) -> Contrast:
    """With what is known by the images that both were asked about."""
    from orchestrator.results.statistics import bootstrap  # noqa: PLC0415 - of scipy

    if group is None or baseline is None:
        return one
    sets = [_paired(group, baseline)]
    if group.less is not None and baseline.less is not None:
        sets.append(_paired(group.less, baseline.less))
    here, there, apart = zip(*sets, strict=True)
    images = [right.shape[1] for right in here]
    one = replace(one, images=sum(images), images_apart=sum(apart))
    if min(len(group.right), len(baseline.right)) < 2 or not all(images):
        return one
    return replace(one, bootstrap95=bootstrap(here, there, draws=DRAWS))


def _paired(
    group: Judged, baseline: Judged
) -> tuple["NDArray[np.bool_]", "NDArray[np.bool_]", int]:
    """What either said of the images that both were asked about, and how many only one was."""
    here, there = in_both(group.keys, baseline.keys)
    apart = len(group.keys) + len(baseline.keys) - 2 * len(here)
    return group.right[:, here], baseline.right[:, there], apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Detectable:
    """What Welch's test of ``one`` against ``other`` seeds finds in 80 % of studies.

    Of a single comparison, before Holm.
    """

    difference: float
    one: int
    other: int
    deviation: float
    """Over seeds: the standard deviation that is taken for that of both."""


def detectable_difference(
    values: Sequence[Sequence[float]], baseline: int | None = None
) -> Detectable | None:
    """The smallest difference that such groups would tell, by their own spread.

    Of the smallest group of two or more finite values and ``baseline``, with which all are
    compared, or without one the next smallest; with the standard deviation of all groups pooled.
    None: there are no two such groups, or they have no spread.
    """
    told = {
        place: group
        for place, group in enumerate(values)
        if len(group) > 1 and all(map(math.isfinite, group))
    }
    deviation = pooled([*told.values()])
    others = sorted(len(group) for place, group in told.items() if place != baseline)
    against = others[1:] if baseline is None else [len(told.get(baseline, ()))]
    if not deviation or not others or not any(against):
        return None
    one, other = others[0], against[0]
    found = detectable(deviation, one, other)
    return Detectable(difference=found, one=one, other=other, deviation=deviation)


def pooled(groups: Sequence[Sequence[float]]) -> float | None:
    """The standard deviation within groups; None: none of them has two values."""
    freedom = sum(len(group) - 1 for group in groups if group)
    if not freedom:
        return None
    squares = (sum((x - fmean(group)) ** 2 for x in group) for group in groups if group)
    return math.sqrt(sum(squares) / freedom)
