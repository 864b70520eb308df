import math
from typing import Any

import pytest

from orchestrator.errors import SpecError
from orchestrator.jobs.facts import Ending
from orchestrator.results.choice import choose
from orchestrator.results.result import Result

DONE, DIVERGED = Ending.FINISHED, Ending.DIVERGED


def job(arm: str, lr: float, seed: int, value: float | None, ending: Any = DONE) -> Result:
    metrics = {} if value is None else {"val/top1": value, "val/loss": 100 - value, "odd": value}
    return Result(f"{arm}{lr}{seed}", {"arm": arm, "lr": lr, "seed": seed}, ending, metrics)


def chosen(results: list[Result], metric: str = "val/top1") -> tuple[list[str], list[Any]]:
    kept, choices = choose(results, "lr", ["arm"], metric, 0)
    return [one.id for one in kept], [(c.place["arm"], c.value, c.told, c.values) for c in choices]


def test_the_best_value_on_the_choosing_seed_is_reported_on_the_others_alone() -> None:
    results = [
        *(job("a", 1.0, 0, 50.0), job("a", 2.0, 0, 60.0)),
        *(job("a", 1.0, 1, 90.0), job("a", 2.0, 1, 10.0), job("a", 2.0, 2, 11.0)),
        *(job("b", 1.0, 0, 60.0), job("b", 2.0, 0, 60.0), job("b", 1.0, 1, 1.0)),
    ]

    kept, choices = chosen(results)

    assert kept == ["a2.01", "a2.02", "b1.01"]
    assert choices == [("a", 2.0, 2, 2), ("b", 1.0, 2, 2)]
    assert chosen(results, "val/loss")[0] == kept


def test_what_the_choosing_seed_lacks_is_told() -> None:
    results = [
        *(job("a", 1.0, 0, 50.0), job("a", 2.0, 0, None, None), job("a", 3.0, 0, 99.0, DIVERGED)),
        *(job("a", 1.0, 1, 5.0), job("a", 2.0, 1, 7.0), job("b", 1.0, 1, 5.0)),
    ]

    assert chosen(results) == (["a1.01"], [("a", 1.0, 1, 3), ("b", None, 0, 1)])
    assert [one.diverged for one in choose(results, "lr", ["arm"], "val/top1", 0)[1]] == [1, 0]


@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_a_value_that_is_no_number_is_the_worst(odd: float) -> None:
    results = [job("a", 1.0, 0, odd), job("a", 2.0, 0, 1.0), job("a", 2.0, 1, 3.0)]

    assert chosen(results)[1] == [("a", 2.0, 2, 2)]


def test_nothing_is_chosen_by_a_metric_of_which_no_direction_is_better() -> None:
    with pytest.raises(SpecError, match="'odd' are better is not known"):
        chosen([job("a", 1.0, 0, 1.0)], "odd")
