"""The smallest difference that numbers of seeds can tell; of a table, so that it needs no scipy."""

import math
from collections.abc import Iterator

SEEDS = (2, 3, 4, 5, 6, 7, 8, 9, 10, 20, math.inf)
SHIFT_80 = (
    (10.392,),
    (7.050, 4.296),
    (7.437, 3.973, 3.555),
    (7.983, 3.950, 3.447, 3.296),
    (8.517, 4.006, 3.426, 3.242, 3.167),
    (9.011, 4.083, 3.436, 3.226, 3.135, 3.091),
    (9.460, 4.163, 3.460, 3.227, 3.122, 3.069, 3.040),
    (9.865, 4.240, 3.488, 3.236, 3.121, 3.060, 3.025, 3.005),
    (10.229, 4.313, 3.517, 3.249, 3.124, 3.057, 3.017, 2.993, 2.979),
    (12.478, 4.789, 3.750, 3.389, 3.213, 3.111, 3.046, 3.002, 2.971, 2.878),
    (16.334, 5.653, 4.256, 3.761, 3.514, 3.367, 3.270, 3.201, 3.150, 2.954, 2.802),
)
"""A row for each number of `SEEDS`, with the other method's seeds up to as many: by how many of its
standard errors a difference is found by Welch's two-sided test at 5 % in 80 % of studies.

Given what share of the squares within methods is the first's, the test's freedom and critical value
are known, and its power is a tail of the noncentral t with all freedom; the mean over that share, a
beta variable if both methods spread alike, is the power. ``tests/results/test_power.py`` makes all
of these numbers by this integral, and holds some of them against drawn studies."""


def detectable(deviation: float, one: int, other: int) -> float:
    """The smallest true difference that Welch's test finds in 80 % of studies.

    Of a single comparison: where p are adjusted for several, fewer studies find it.

    Args:
        deviation: over seeds, the same in both methods; the result is in its unit.
        one: seeds of a method, two or more.
        other: seeds of the one that it is compared with, two or more.
    """
    return deviation * math.sqrt(1 / one + 1 / other) * _shift(one, other)


def _shift(one: int, other: int) -> float:
    """Of numbers that the table lacks in proportion to their reciprocals: within 3 %."""
    return sum(
        here * there * SHIFT_80[max(row, column)][min(row, column)]
        for row, here in _around(one)
        for column, there in _around(other)
    )


def _around(seeds: int) -> Iterator[tuple[int, float]]:
    """The places in `SEEDS` around a number, and what weight each has."""
    above = next(place for place, number in enumerate(SEEDS) if number >= seeds)
    low, high = 1 / SEEDS[max(0, above - 1)], 1 / SEEDS[above]
    share = 0.0 if SEEDS[above] == seeds else (1 / seeds - high) / (low - high)
    yield above, 1 - share
    if share:
        yield above - 1, share
