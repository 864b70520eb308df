import math
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from orchestrator.results.power import SEEDS, SHIFT_80, detectable

NODES, WEIGHTS = np.polynomial.legendre.leggauss(60)
TURNS = np.pi * (NODES + 1) / 4
LEVELS, MASS = np.sin(TURNS) ** 2, WEIGHTS * np.pi / 4 * np.sin(2 * TURNS)
"""Nodes and weights of an integral over (0, 1) whose function is steep at both ends."""
Array = NDArray[np.float64]


@cache
def critical(one: float, other: float) -> Array:
    """What the difference, in true standard errors, must exceed, ``(shares, squares)``.

    By which share of the squares within methods is the first's, and by what all are.
    """
    freedom = one + other - 2
    if math.isinf(freedom):  # of one method, or of both, all is known
        freedom = min(one, other) - 1
        if math.isinf(freedom):
            return np.full((len(LEVELS), len(LEVELS)), stats.norm.ppf(0.975))
        return np.tile(
            stats.t.ppf(0.975, freedom) * np.sqrt(stats.chi2.ppf(LEVELS, freedom) / freedom),
            (len(LEVELS), 1),
        )
    share = np.clip(stats.beta.ppf(LEVELS, (one - 1) / 2, (other - 1) / 2), 0, 1)
    here, there = share / (one * (one - 1)), (1 - share) / (other * (other - 1))
    welchs = (here + there) ** 2 / (here**2 / (one - 1) + there**2 / (other - 1))
    scale = stats.t.ppf(0.975, welchs) * np.sqrt((here + there) / (1 / one + 1 / other))
    return np.outer(scale, np.sqrt(stats.chi2.ppf(LEVELS, freedom)))


def power(shift: float, one: float, other: float) -> float:
    """How often Welch's test at 5 % finds a difference of so many standard errors."""
    found = stats.norm.sf(critical(one, other) - shift)
    return float(MASS @ found @ MASS)


@pytest.mark.filterwarnings("ignore:Error in function boost")  # of a beta's outermost quantile
def test_every_shift_of_the_table_is_found_in_four_of_five_studies() -> None:
    found = {
        (one, other): power(SHIFT_80[row][column], one, other)
        for row, one in enumerate(SEEDS)
        for column, other in enumerate(SEEDS[: row + 1])
    }

    assert found == pytest.approx(dict.fromkeys(found, 0.8), abs=5e-4)


@pytest.mark.parametrize(("one", "other"), [(2, 2), (3, 3), (3, 5), (5, 5)])
def test_welchs_test_finds_it_in_drawn_studies(one: int, other: int) -> None:
    draw = np.random.default_rng(7)
    first = draw.normal(detectable(0.3, one, other), 0.3, (40_000, one))
    second = draw.normal(0, 0.3, (40_000, other))
    p = stats.ttest_ind(first, second, axis=1, equal_var=False).pvalue

    assert np.mean(p < 0.05) == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize(("one", "other"), [(2, 15), (4, 12), (5, 60), (14, 14), (30, 90)])
def test_between_the_numbers_of_the_table_it_is_right_within_three_percent(
    one: int, other: int
) -> None:
    shift = detectable(1.0, one, other) / math.sqrt(1 / one + 1 / other)

    assert power(0.97 * shift, one, other) < 0.8 < power(1.03 * shift, one, other)


def test_more_seeds_of_both_tell_less() -> None:
    found = [detectable(1.0, seeds, seeds) for seeds in range(2, 60)]

    assert found == sorted(found, reverse=True)
