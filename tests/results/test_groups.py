import math
from typing import Any

import pytest

from orchestrator.jobs.facts import Ending
from orchestrator.results.groups import grouped, label
from orchestrator.results.result import Result, axes_of

DONE, DIVERGED = Ending.FINISHED, Ending.DIVERGED


def result(id_: str, value: float | None, ending: Ending | None = DONE, **axes: Any) -> Result:
    return Result(id_, axes, ending, {} if value is None else {"top1": value})


def test_mean_spread_and_interval_are_those_computed_by_hand() -> None:
    results = [result(str(n), value, k=4, seed=n) for n, value in enumerate([80.0, 82.0, 87.0])]

    (row,) = grouped(results, "top1", ["k"])

    assert (row.n, row.missing, row.diverged) == (3, 0, 0)
    assert row.mean == pytest.approx(83.0)
    assert row.std == pytest.approx(math.sqrt((9 + 1 + 16) / 2))
    half = 4.303 * math.sqrt(13) / math.sqrt(3)
    assert row.ci95 == pytest.approx((83 - half, 83 + half))
    assert row.mixes == ()


def test_what_is_missing_or_diverged_is_counted_and_not_averaged() -> None:
    results = [
        result("a", 90.0, k=1, seed=0),
        result("b", 10.0, DIVERGED, k=1, seed=1),
        result("c", 50.0, None, k=1, seed=2),
        result("d", None, k=1, seed=3),
        result("e", None, DIVERGED, k=1, seed=4),
    ]

    (row,) = grouped(results, "top1", ["k"])

    assert (row.n, row.missing, row.diverged) == (1, 2, 2)
    assert (row.mean, row.std, row.ci95) == (90.0, None, None)
    assert row.job_ids == ("a", "b", "c", "d", "e")


def test_a_group_without_a_value_has_no_mean() -> None:
    (row,) = grouped([result("a", None, None, k=1)], "top1", ["k"], ["loss"])
    (lost,) = grouped([result("a", None, DIVERGED)], "top1", [])

    assert (row.n, row.missing, row.mean, row.also) == (0, 1, None, {"loss": None})
    assert (lost.n, lost.missing, lost.diverged, lost.mean) == (0, 0, 1, None)


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_make_the_mean_nan_instead_of_an_error(odd: float) -> None:
    (row,) = grouped([result("a", odd, k=1), result("b", 1.0, k=1)], "top1", ["k"])

    assert row.mean is not None
    assert row.std is not None
    assert row.ci95 is not None
    assert all(math.isnan(value) for value in (row.mean, row.std, *row.ci95))


def test_points_are_grouped_by_the_axes_asked_for_and_mixtures_are_named() -> None:
    results = [
        result("a", 1.0, k=0, lr=1e-3, seed=0),
        result("b", 3.0, k=0, lr=1e-2, seed=0),
        result("c", 5.0, k=4, lr=1e-3, seed=0),
    ]

    rows = grouped(results, "top1", ["k"])

    assert [(dict(row.axes), row.mean, row.mixes) for row in rows] == [
        ({"k": 0}, 2.0, ("lr",)),
        ({"k": 4}, 5.0, ()),
    ]
    assert axes_of(results) == ["k", "lr"]
    assert [row.mean for row in grouped(results, "top1", ["seed"])] == [3.0]


def test_groups_of_settings_are_one_axis_and_told_apart_by_content() -> None:
    sdpa, value = {"position": "sdpa"}, {"position": "value", "bias": False}
    results = [
        result("a", 1.0, gate=sdpa),
        result("b", 2.0, gate=None),
        result("c", 3.0, gate=dict(sdpa)),
        result("d", 4.0, gate=value),
    ]

    rows = grouped(results, "top1", ["gate"])

    assert [(label(row.axes["gate"]), row.mean) for row in rows] == [
        ("sdpa", 2.0),
        ("-", 2.0),
        ("value,False", 4.0),
    ]


def test_a_point_without_an_axis_of_another_block_stands_apart() -> None:
    rows = grouped([result("a", 1.0, k=4), result("b", 2.0, lr=1e-3)], "top1", ["k", "lr"])

    assert [dict(row.axes) for row in rows] == [{"k": 4, "lr": None}, {"k": None, "lr": 1e-3}]


def test_points_of_a_block_without_an_axis_stand_where_their_configuration_puts_them() -> None:
    config = {"model": {"registers": 4, "gate": None}}
    results = [
        Result("a", {"model.registers": 4}, Ending.FINISHED, {"top1": 1.0}, config),
        Result("b", {"optim.lr": 0.1}, Ending.FINISHED, {"top1": 3.0}, config),
    ]

    (group,) = grouped(results, "top1", ["model.registers"])
    (gates,) = grouped(results, "top1", ["model.gate", "model.gate.bias"])

    assert (group.axes, group.mean) == ({"model.registers": 4}, 2.0)
    assert gates.axes == {"model.gate": None, "model.gate.bias": None}


def test_jobs_that_agree_on_all_axes_and_differ_in_a_setting_are_told() -> None:
    config = {"optim": {"lr": 0.1, "decay": 0.0}, "seed": 0, "of": "a"}
    other = {"optim": {"lr": 0.2, "decay": 0.0}, "seed": 1, "of": "b"}
    results = [
        Result(name, {"case": "x"}, DONE, {"top1": 1.0}, settings)
        for name, settings in (("a", config), ("b", other))
    ]

    assert [row.mixes for row in grouped(results, "top1", ["case"])] == [("optim.lr",)]
    assert [row.mixes for row in grouped(results, "top1", ["case", "optim.lr"])] == [(), ()]
