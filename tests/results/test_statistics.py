import math

import numpy as np
import pytest
from scipy import stats

from orchestrator.results.statistics import (
    bootstrap,
    holm,
    mcnemar,
    welch,
)


def studies(number: int, seeds: int, shift: float) -> list[tuple[list[float], list[float]]]:
    """Accuracies of two methods, seed by seed, in many studies; seeds deviate by 0.3 points."""
    draw = np.random.default_rng(7)
    return [
        (list(draw.normal(80 + shift, 0.3, seeds)), list(draw.normal(80, 0.3, seeds)))
        for _ in range(number)
    ]


def test_of_studies_without_a_difference_one_in_twenty_finds_one() -> None:
    found = [welch(one, other) for one, other in studies(2000, 5, 0.0)]

    assert np.mean([f.p < 0.05 for f in found if f]) == pytest.approx(0.05, abs=0.015)
    assert np.mean([f.ci95[0] < 0 < f.ci95[1] for f in found if f]) == pytest.approx(
        0.95, abs=0.015
    )


def test_methods_are_equivalent_where_the_90_percent_interval_is_within_the_margin() -> None:
    called = 0
    for one, other in studies(200, 4, 0.2):
        found = welch(one, other)
        low, high = stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.9)
        assert found is not None
        p = found.p_equivalence(0.5)
        assert (p < 0.05) == (low > -0.5 and high < 0.5)
        called += p < 0.05
    assert 10 < called < 190


def test_one_seed_or_no_spread_at_all_compares_nothing() -> None:
    assert welch([1.0], [2.0, 3.0]) is None
    assert welch([1.0, 1.0], [2.0, 2.0]) is None


@pytest.mark.filterwarnings("error")
def test_seeds_of_one_method_may_agree() -> None:
    found = welch([88.0, 88.0], [87.0, 89.5])

    assert found is not None
    assert (found.mean, found.error, found.freedom) == (-0.25, 1.25, 1.0)
    assert found.p == pytest.approx(2 * stats.t.sf(0.2, 1))


def test_the_test_is_that_of_scipy() -> None:
    for one, other in (*studies(20, 4, 0.2), ([80.0, 81.0], [79.0, 80.5, 80.7, 80.9])):
        found, told = welch(one, other), stats.ttest_ind(one, other, equal_var=False)
        assert found is not None
        assert (found.p, *found.ci95) == pytest.approx((told.pvalue, *told.confidence_interval()))


def test_holm_multiplies_the_smallest_by_all_and_keeps_the_order() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_bootstrap_of_one_seed_is_that_of_its_images() -> None:
    draw = np.random.default_rng(1)
    one, other = draw.random((1, 400)) < 0.8, draw.random((1, 400)) < 0.7
    low, high = bootstrap([one], [other], draws=4000)

    difference = one[0].astype(float) - other[0]
    half = 1.96 * 100 * difference.std() / math.sqrt(400)
    middle = 100 * difference.mean()
    assert (low, high) == pytest.approx((middle - half, middle + half), abs=0.35)
    assert bootstrap([one], [other], draws=4000) == (low, high)


def test_seeds_that_disagree_widen_a_bootstrap() -> None:
    draw = np.random.default_rng(2)
    image = draw.random(400)
    alike, apart = (
        np.stack([image < accuracy for accuracy in accuracies])
        for accuracies in ((0.8, 0.8, 0.8), (0.7, 0.8, 0.9))
    )
    other = np.stack([image < 0.8] * 3)

    assert bootstrap([alike], [other], draws=1000) == (0.0, 0.0)
    low, high = bootstrap([apart], [other], draws=1000)
    assert low < -4 < 4 < high
    with pytest.raises(ValueError, match="400 images are compared with 399"):
        bootstrap([alike], [other[:, 1:]])


def test_a_bootstrap_of_gaps_draws_images_of_both_sets_and_keeps_the_sets_of_a_seed_together() -> (
    None
):
    draw = np.random.default_rng(3)
    clean, shifted = draw.random((1, 400)) < 0.8, draw.random((1, 900)) < 0.5
    other = (draw.random((1, 400)) < 0.8, draw.random((1, 900)) < 0.4)
    low, high = bootstrap((clean, shifted), other, draws=4000)

    apart = [
        one[0].astype(float) - there[0] for one, there in zip((clean, shifted), other, strict=True)
    ]
    middle = 100 * (apart[0].mean() - apart[1].mean())
    half = 1.96 * 100 * math.sqrt(apart[0].var() / 400 + apart[1].var() / 900)
    assert (low, high) == pytest.approx((middle - half, middle + half), abs=0.4)

    image = draw.random(400)
    seeds = np.stack([image < accuracy for accuracy in (0.5, 0.7, 0.9)])  # alike on both sets
    flat = np.stack([image < 0.7] * 3)
    low, high = bootstrap((seeds, seeds), (flat, flat), draws=1000)
    assert -12 < low < high < 12  # of accuracies alone seeds would bring 20 points


def test_mcnemar_asks_only_of_images_on_which_one_run_alone_is_right() -> None:
    one = np.array([True] * 90 + [False] * 10)
    other = np.array([True] * 80 + [False] * 10 + [True] * 2 + [False] * 8)

    assert mcnemar(one, other) == pytest.approx(2 * stats.binom.cdf(2, 12, 0.5))
    assert mcnemar(one, one) == 1.0
