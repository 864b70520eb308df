"""Whether two methods differ, and by how much.

A method is trained by several seeds and judged on the same images. The numbers of two methods are
compared over seeds, as these are what a repetition would draw anew; two runs are compared image by
image, which says nothing of their methods.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.05
"""Two-sided; of an equivalence each of its two sides, so that its interval is the 90 % one."""
DRAWS = 10_000
BLOCK = 500
"""Resamples that are in memory at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One method less another, of unpaired samples (B. L. Welch, Biometrika 34, 1947).

    Attributes:
        mean: over seeds.
        error: its standard error.
        freedom: of Student's t that it follows over it (F. E. Satterthwaite, Biometrics 2, 1946).
    """

    mean: float
    error: float
    freedom: float

    @property
    def ci95(self) -> tuple[float, float]:
        """Its 95 % interval."""
        half = self.error * float(stats.t.ppf(1 - LEVEL / 2, self.freedom))
        return self.mean - half, self.mean + half

    @property
    def p(self) -> float:
        """Of no difference, two-sided."""
        return 2 * self._above(abs(self.mean))

    def p_equivalence(self, margin: float) -> float:
        """How likely a difference of ``margin`` or more would look as small: two one-sided tests.

        The larger p of both (D. J. Schuirmann, J. Pharmacokinet. Biopharm. 15, 1987). Below
        `LEVEL`, where the 90 % interval is within the margin, the methods are equivalent for the
        purpose that chose it.
        """
        return self._above(margin - abs(self.mean))

    def _above(self, distance: float) -> float:
        return float(stats.t.sf(distance / self.error, self.freedom))


def welch(one: Sequence[float], other: Sequence[float]) -> Difference | None:
    """The difference of two methods from their seeds; None below two each.

    Two samples without any spread are told apart by nothing: None as well.
    """
    if min(len(one), len(other)) < 2:
        return None
    here, there = variance(one) / len(one), variance(other) / len(other)
    if not here + there:
        return None
    return Difference(
        mean=fmean(one) - fmean(other),
        error=math.sqrt(here + there),
        freedom=(here + there) ** 2 / (here**2 / (len(one) - 1) + there**2 / (len(other) - 1)),
    )


def holm(ps: Sequence[float]) -> list[float]:
    """The p of each comparison of a family, adjusted for their number (S. Holm, 1979)."""
    adjusted, highest = [0.0] * len(ps), 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = highest
    return adjusted


def bootstrap(
    one: Sequence[NDArray[np.bool_]],
    other: Sequence[NDArray[np.bool_]],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[float, float]:
    """The 95 % interval of a difference in points, over seeds and over images.

    On one set of images it is the difference of two methods' accuracies; on two it is that of their
    gaps, a gap being a seed's accuracy on the first set less that on the second.

    Each resample draws seeds of either method with replacement, and images of each set with
    replacement, the same ones for all (A. C. Davison and D. V. Hinkley, Bootstrap Methods, 1997,
    section 3.8). A seed that is drawn brings its answers to every set. The percentiles of few seeds
    are too narrow: of three, they hold the truth in 80 to 90 % of studies.

    Args:
        one: of each set, which of its n images each seed of a method has right, ``(seeds, n)``.
        other: the same images, of the method that it is compared with.
        draws: resamples.
        seed: of the resamples; the same one gives the same interval.

    Raises:
        ValueError: the methods were judged on different numbers of images.
    """
    for here, there in zip(one, other, strict=True):
        if here.shape[1] != there.shape[1]:
            raise ValueError(f"{here.shape[1]} images are compared with {there.shape[1]}")
    generator = np.random.default_rng(seed)
    found = []
    for first in range(0, draws, BLOCK):
        size = min(BLOCK, draws - first)
        times = [_times(right.shape[1], size, generator) for right in one]
        means = [_resampled(_accuracies(times, rights), generator) for rights in (one, other)]
        found.append(means[0] - means[1])
    low, high = np.quantile(np.concatenate(found), [LEVEL / 2, 1 - LEVEL / 2])
    return float(low), float(high)


def _times(images: int, draws: int, generator: np.random.Generator) -> NDArray[np.float32]:
    """How often each image is in each resample, ``(draws, images)``."""
    drawn = generator.multinomial(images, [1 / images] * images, size=draws)
    return drawn.astype(np.float32)


def _accuracies(
    times: Sequence[NDArray[np.float32]], rights: Sequence[NDArray[np.bool_]]
) -> NDArray[np.float64]:
    """In percent, ``(draws, seeds)``: on the resampled first set, less on the others."""
    found: list[NDArray[np.float64]] = [
        100 / right.shape[1] * (drawn @ right.T.astype(np.float32)).astype(np.float64)
        for drawn, right in zip(times, rights, strict=True)
    ]
    total = found[0]
    for less in found[1:]:
        total -= less
    return total


def _resampled(right: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.float64]:
    """Of each row, ``(draws, seeds)``, the mean over as many seeds drawn with replacement."""
    chosen = generator.integers(right.shape[1], size=right.shape)
    mean: NDArray[np.float64] = np.take_along_axis(right, chosen, axis=1).mean(axis=1)
    return mean


def mcnemar(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """The p of two runs equally often right, from the images ``(n,)`` on which just one is.

    The exact test (Q. McNemar, Psychometrika 12, 1947). Of two runs, never of two methods: seeds of
    one method differ by it, too.
    """
    gained, lost = int((one & ~other).sum()), int((other & ~one).sum())
    if not gained + lost:
        return 1.0
    return float(stats.binomtest(gained, gained + lost).pvalue)
