import math
from typing import Any

import pytest

from orchestrator.errors import SpecError
from orchestrator.jobs.facts import Ending
from orchestrator.results.frame import (
    Result,
    axes_of,
    check_question,
    grouped,
    interval,
    label,
    t_95,
    that_measure,
)

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


def test_a_metric_is_missing_only_of_jobs_whose_task_it_is_to_measure_it() -> None:
    train, on_a, on_r, looks = (
        Result(name, {}, DONE, {}, config)
        for name, config in (
            ("trained", {"task": "train", "data": {"name": "d"}}),
            ("a", {"task": "evaluate", "data": {"name": "a"}}),
            ("r", {"task": "evaluate", "data": {"name": "r"}}),
            ("looks", {"task": "analyze", "data": {"name": "a"}}),
        )
    )
    again = Result("again", {}, DONE, {"val/top1": 90.0}, on_a.config)
    unreadable = Result("unreadable", {}, None, {})
    every = [train, on_a, on_r, looks, again, unreadable]

    assert that_measure(every, "val/top1") == [train, again, unreadable]
    assert that_measure(every, "eval/a/top1") == [on_a, again, unreadable]
    assert that_measure(every, "eval/r/gap") == [on_r, unreadable]
    assert that_measure(every, "norms/max") == [train, looks, unreadable]
    assert that_measure(every, "artifacts/positive") == [looks, unreadable]


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

    assert (row.n, row.missing, row.mean, row.also) == (0, 1, None, {"loss": None})


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


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [(1, 12.706), (2, 4.303), (30, 2.042), (31, 2.0395), (60, 2.0003), (120, 1.9799)],
)
def test_the_quantiles_are_those_of_the_printed_tables(freedom: int, quantile: float) -> None:
    assert t_95(freedom) == pytest.approx(quantile, abs=5e-4)


def test_quantiles_fall_with_every_degree_of_freedom() -> None:
    quantiles = [t_95(freedom) for freedom in range(1, 200)]

    assert quantiles == sorted(quantiles, reverse=True)


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


def test_one_value_has_no_interval() -> None:
    assert interval([1.0]) is None
    assert interval([]) is None


def test_an_unknown_metric_or_axis_is_refused_with_what_there_is() -> None:
    results = [result("a", 1.0, k=4, seed=0)]

    with pytest.raises(SpecError, match=r"No job measured 'top5'. Measured: top1"):
        check_question(results, ["top5"], [])
    with pytest.raises(SpecError, match=r"'depth' is neither an axis.*k, seed.*nor"):
        check_question(results, ["top1"], ["depth"])
    check_question(results, ["top1"], ["k", "seed", "model.registers"])
    check_question([result("a", None)], ["anything"], [])


def test_a_metric_is_refused_where_it_is_nobodys_task_or_one_finished_without_it() -> None:
    begun, trains = {"train/loss": 2.0}, {"task": "train"}
    diverged = Result("a", {}, DIVERGED, begun, trains)
    evaluates = Result("b", {}, None, {}, {"task": "evaluate", "data": {"name": "d"}})

    check_question([diverged, Result("c", {}, None, begun, trains), evaluates], ["val/top1"], [])
    (row,) = grouped([diverged], "val/top1", [])
    assert (row.n, row.missing, row.diverged, row.mean) == (0, 0, 1, None)
    with pytest.raises(SpecError, match=r"No job measured 'val/top1'. Measured: train/loss"):
        check_question([diverged, Result("c", {}, DONE, begun, trains)], ["val/top1"], [])
    with pytest.raises(SpecError, match=r"No job measured 'val/top1'. Nothing was measured yet."):
        check_question([evaluates], ["val/top1"], [])
