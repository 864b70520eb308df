import re
from dataclasses import replace

import pytest
from support.pool_bench import Bench

from orchestrator.controller.detect import ASSUMED, Promise, by_arm, promise
from orchestrator.jobs.settled import Settled
from orchestrator.jobs.summary import Summary
from orchestrator.results.power import detectable

NOTHING = Summary(
    epoch=1, epochs=1, step=1, metrics={}, attempts=1, codes=(), package="", executor=None,
    handle=None, token="", index=0,
)  # fmt: skip


def done(value: float, outcome: str = "finished") -> Settled:
    return Settled(outcome, replace(NOTHING, metrics={"val/top1": value}))


@pytest.mark.parametrize(
    ("seeds", "told"),
    [((0,), "No test tells an arm of one seed"), ((0, 1, 2), "3 seeds an arm tell")],
)
def test_a_new_study_is_promised_what_its_seeds_tell_at_an_assumed_spread(
    tmp_path: object, seeds: tuple[int, ...], told: str
) -> None:
    sweep = Bench(tmp_path).load("a", "b", seeds=list(seeds))  # type: ignore[arg-type]

    found = promise(None, sweep)

    assert found is not None
    assert (found.seeds, found.deviation, found.arms) == (len(seeds), ASSUMED, 0)
    assert str(found).startswith(told)
    if len(seeds) > 1:
        assert found.difference == pytest.approx(detectable(0.3, 3, 3))
        assert str(found).endswith(
            "differences of 1.1 points of val/top1 or more in 80 % of studies (one test, before "
            "Holm; std 0.3, assumed)."
        )


def test_where_the_study_has_arms_of_several_seeds_their_spread_is_named() -> None:
    told = str(Promise(seeds=3, deviation=0.21, arms=4, difference=0.6))

    assert re.search(r"0.6 points .* std 0.21, of 4 arms of this study\)", told)


def test_the_spread_is_of_arms_whose_seeds_finished_with_a_number() -> None:
    arms = {"a0": 0, "a1": 0, "b0": 1, "b1": 1, "c0": 2, "c1": 2, "d0": 3, "d1": 3}
    known = {
        "a0": done(1.0),
        "a1": done(2.0),
        "b0": done(3.0),
        "c0": done(1.0),
        "c1": done(float("nan")),
        "d0": done(1.0),
        "d1": done(2.0, "diverged"),
    }

    assert by_arm(arms, known) == [[1.0, 2.0]]
