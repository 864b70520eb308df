import math

import numpy as np
import pytest

from orchestrator.jobs.directions import direction, in_points
from orchestrator.results.contrasts import (
    VERDICTS,
    Judged,
    Verdict,
    contrasts,
    detectable_difference,
    pooled,
)
from orchestrator.results.power import detectable
from orchestrator.results.statistics import holm, welch

BASE = [80.0, 80.2, 80.4]
ABOVE, BELOW, NEAR = [82.0, 82.1, 82.3], [78.0, 78.1, 78.4], [80.1, 80.2, 80.35]
WIDE = [79.0, 80.5, 82.0]


def words(*groups: list[float], **more: object) -> list[str]:
    return [str(one.verdict) for one in contrasts([BASE, *groups], 0, **more) if one]  # type: ignore[arg-type]


def test_each_verdict_is_reached() -> None:
    assert words(ABOVE, BELOW, NEAR, WIDE, [80.0], []) == [
        *("higher", "lower", "equivalent", "undecided", "one seed", "one seed"),
    ]
    assert {verdict for pair in VERDICTS.values() for verdict in pair} == set(Verdict) - {
        *(Verdict.ONE_SEED, Verdict.MIXED),
    }


def test_a_difference_that_is_there_and_small_is_told_by_its_sign() -> None:
    assert words([80.9, 81.1, 81.3], margin=5.0) == ["higher"]


def test_without_a_margin_nothing_is_equivalent() -> None:
    (one,) = contrasts([BASE, NEAR], 0, margin=None)[1:]

    assert one is not None
    assert (one.verdict, one.p_equivalence, one.margin) == (Verdict.UNDECIDED, None, None)


def test_difference_and_interval_are_welchs_and_the_family_is_all_other_groups() -> None:
    one, base, other, alone = contrasts([ABOVE, BASE, NEAR, [70.0]], 1)
    tests = [welch(ABOVE, BASE), welch(NEAR, BASE)]

    assert base is None
    assert one is not None
    assert other is not None
    assert alone is not None
    assert tests[0] is not None
    assert tests[1] is not None
    assert (one.difference, one.ci95, one.p) == (tests[0].mean, tests[0].ci95, tests[0].p)
    assert [one.p_holm, other.p_holm] == holm([tests[0].p, tests[1].p])
    assert one.p_holm == 2 * tests[0].p
    assert (alone.difference, alone.ci95, alone.p_holm) == (pytest.approx(-10.2), None, None)


@pytest.mark.parametrize(("better", "told"), [(1, [True, False]), (-1, [False, True])])
def test_what_is_better_is_said_of_what_is_decided(better: int, told: list[bool]) -> None:
    found = contrasts([BASE, ABOVE, BELOW, NEAR, WIDE], 0, better=better)[1:]

    assert [one.better for one in found if one] == [*told, None, None]
    assert [one and one.better for one in contrasts([BASE, ABOVE], 0)] == [None, None]


def test_values_that_are_not_finite_decide_nothing() -> None:
    _, one = contrasts([BASE, [80.0, math.nan]], 0)

    assert one is not None
    assert one.difference is not None
    assert math.isnan(one.difference)
    assert (one.verdict, one.p) == (Verdict.UNDECIDED, None)


def test_groups_without_any_spread_are_not_tested() -> None:
    _, one = contrasts([[80.0, 80.0], [81.0, 81.0]], 0)

    assert one is not None
    assert (one.difference, one.ci95, one.verdict) == (1.0, None, Verdict.UNDECIDED)


def test_what_is_counted_needs_no_test_where_all_seeds_agree() -> None:
    groups = [[4.0, 4.0], [4.0, 4.0], [5.0], [3.0, 3.0, 3.0], [4.0, 5.0], []]
    found = contrasts(groups, 0, better=-1, exact=True)[1:]

    assert [(str(one.verdict), one.better, one.p is None) for one in found if one] == [
        *(("equivalent", None, True), ("higher", False, True), ("lower", True, True)),
        *(("undecided", None, False), ("one seed", None, True)),
    ]


def test_a_group_of_several_methods_has_a_difference_and_is_tested_against_nothing() -> None:
    _, other, mixed = contrasts([BASE, ABOVE, BELOW], 0, mixed=[2])
    alone = contrasts([BASE, ABOVE], 0)[1]

    assert other == alone, "it is no part of the family"
    assert mixed is not None
    assert (str(mixed.verdict), mixed.p, mixed.ci95) == ("mixed", None, None)
    assert mixed.difference == pytest.approx(78.1667 - 80.2, abs=1e-4)
    told = contrasts([BASE, ABOVE], 0, mixed=[0])[1]
    assert told is not None
    assert (told.verdict, told.p) == (Verdict.MIXED, None)


def test_images_are_matched_by_key_and_only_those_of_both_count() -> None:
    draw = np.random.default_rng(0)
    keys = [f"{n}".encode() for n in range(400)]
    right = draw.random((2, 400)) < 0.8
    order = draw.permutation(400)
    here = Judged(keys=keys, right=right)
    turned = Judged(keys=[keys[i] for i in order], right=right[:, order])
    part = Judged(keys=[*keys[:100], b"other"], right=right[:, :101])
    alone = Judged(keys=keys, right=right[:1])

    _, same, fewer, one = contrasts([BASE, NEAR, NEAR, NEAR], 0, judged=[here, turned, part, alone])

    assert same is not None
    assert same.bootstrap95 is not None
    assert same.images == 400
    assert same.bootstrap95[0] < 0 < same.bootstrap95[1]
    _, shifted = contrasts([BASE, NEAR], 0, judged=[here, Judged(keys=keys, right=~right)])
    assert shifted is not None
    assert shifted.bootstrap95 is not None
    assert shifted.bootstrap95[1] < -40
    assert fewer is not None
    assert (fewer.images, fewer.images_apart) == (100, 301)
    assert one is not None
    assert (one.images, one.bootstrap95) == (400, None)


def test_the_detectable_difference_is_of_the_smallest_groups_and_all_that_they_spread() -> None:
    groups = [[1.0, 2.0, 3.0], [5.0, 5.0], [7.0], [1.0, 1.0, 4.0, 4.0]]
    spread = math.sqrt((2 + 0 + 9) / (2 + 1 + 3))
    found = detectable_difference(groups)

    assert pooled(groups) == pytest.approx(spread)
    assert found is not None
    assert (found.one, found.other) == (2, 3)
    assert found.difference == pytest.approx(detectable(spread, 2, 3))
    assert detectable_difference([[1.0, 2.0]]) is None
    assert detectable_difference([[1.0, 1.0], [2.0, 2.0]]) is None
    assert pooled([[1.0], []]) is None


@pytest.mark.parametrize(("baseline", "seeds"), [(0, (2, 5)), (1, (2, 4)), (2, (2, 2)), (4, None)])
def test_with_a_baseline_it_is_of_the_smallest_other_group_and_that(
    baseline: int, seeds: tuple[int, int] | None
) -> None:
    groups = [[1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 3.0, 4.0], [1.0, 2.0], [2.0, 1.0], [1.0]]
    found = detectable_difference(groups, baseline)

    assert (found and (found.one, found.other)) == seeds
    if found and seeds:
        assert found.difference == pytest.approx(detectable(found.deviation, *seeds))


def test_metrics_are_better_high_low_or_not_known() -> None:
    metrics = ["val/top1", "eval/imagenet_a/top1", "val/loss", "norms/outlier_share", "gates/mean"]

    assert [direction(metric) for metric in metrics] == [1, 1, -1, None, None]
    assert [in_points(metric) for metric in metrics] == [True, True, False, False, False]
