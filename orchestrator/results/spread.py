"""Mean, spread and 95 % interval of a sample, without what the tests of its differences need."""

import math
import statistics
from collections.abc import Sequence

# Two-sided 95 % quantiles of Student's t for 1, 2, ... degrees of freedom.
T_95 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
NORMAL_95 = 1.959964


def mean(values: Sequence[float]) -> float | None:
    """The mean; nan if a value is not finite, None of no values."""
    if not values:
        return None
    return statistics.fmean(values) if all(map(math.isfinite, values)) else math.nan


def deviation(values: Sequence[float]) -> float | None:
    """The sample's standard deviation; nan if a value is not finite, None below two values."""
    if len(values) < 2:
        return None
    return statistics.stdev(values) if all(map(math.isfinite, values)) else math.nan


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % confidence interval of the mean of a normal sample, from two values on."""
    middle, spread = mean(values), deviation(values)
    if middle is None or spread is None:
        return None
    half = t_95(len(values) - 1) * spread / math.sqrt(len(values))
    return middle - half, middle + half


def t_95(freedom: int) -> float:
    """Student's two-sided 95 % quantile; beyond the table by its expansion about the normal's."""
    if freedom <= len(T_95):
        return T_95[freedom - 1]
    z = NORMAL_95
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
