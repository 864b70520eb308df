import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config.search import Asha
from orchestrator.jobs.asha import Reached, Verdict, judged, places, rungs
from orchestrator.jobs.orders import NO_ORDERS, Order, Standing, standing_orders
from orchestrator.jobs.search import fallen, stop_orders

RUNGS = (1, 2, 4)
By = Mapping[str, Mapping[int, Reached]]


def rule(reduction: int = 2, metric: str = "val/top1", grace: int = 1) -> Asha:
    return Asha.from_plain({"metric": metric, "grace": grace, "reduction": reduction})


def at(**jobs: list[tuple[float, float]]) -> dict[str, dict[int, Reached]]:
    """By job, (value, time) at as many rungs as it came to."""
    return {
        job: {epoch: Reached(*one) for epoch, one in zip(RUNGS, told, strict=False)}
        for job, told in jobs.items()
    }


def fell(verdicts: list[Verdict]) -> dict[str, int]:
    """By job that is to end, the epoch of the first rung that says so."""
    found: dict[str, int] = {}
    for one in verdicts:
        if not one.goes_on:
            found.setdefault(one.job, one.epoch)
    return found


values = st.sampled_from([10.0, 20.0, 20.0, 30.0, 40.0, math.nan])
reductions = st.integers(2, 4)


@st.composite
def searches(draw: st.DrawFn) -> dict[str, dict[int, Reached]]:
    """Jobs that all went to their end, at times that rise along each of them."""
    found = {}
    for number in range(draw(st.integers(1, 9))):
        steps = draw(st.lists(st.integers(1, 9), min_size=3, max_size=3))
        told = [(draw(values), float(sum(steps[: k + 1]))) for k in range(3)]
        found |= at(**{f"j{number}": told})
    return found


def up_to(time: float, reached: By) -> dict[str, dict[int, Reached]]:
    """What journals say by then."""
    return {
        job: {epoch: one for epoch, one in told.items() if one.time <= time}
        for job, told in reached.items()
    }


def watched(asha: Asha, reached: By, looks: list[float]) -> dict[str, int]:
    """By job that was stopped, its epoch, if a watch looked at these times and obeyed its orders.

    A job that is stopped goes no further: what it would have measured later is not there.
    """
    orders: list[Order] = []
    ends: dict[str, float] = {}
    for now in [*sorted(looks), math.inf]:
        there = {
            job: {e: one for e, one in told.items() if one.time <= ends.get(job, math.inf)}
            for job, told in up_to(now, reached).items()
        }
        going = dict.fromkeys(reached, 1)
        news = stop_orders(asha, fallen(asha, RUNGS, there, standing_orders(orders)), going)
        orders += news
        ends |= {order.jobs[0]: now for order in news}
    return {order.jobs[0]: order.at.epoch for order in orders if order.at}


def test_rungs_are_the_epochs_below_the_last_each_so_many_times_as_far() -> None:
    assert rungs(rule(3, grace=2), 60) == (2, 6, 18, 54)
    assert rungs(rule(3, grace=2), 54) == (2, 6, 18)
    assert rungs(rule(3, grace=2), 2) == ()


def test_a_job_goes_on_if_it_is_in_the_best_part_of_those_that_came_before_it() -> None:
    reached = at(a=[(50, 1)], b=[(40, 2)], c=[(60, 3)], d=[(45, 4)], e=[(50, 5)])

    told = [(one.job, one.rank, one.of, one.places) for one in judged(rule(), RUNGS, reached, {})]

    assert told == [
        ("a", 1, 1, 1),
        ("b", 2, 2, 1),
        ("c", 1, 3, 2),
        ("d", 3, 4, 2),
        ("e", 2, 5, 3),
    ]
    assert fell(judged(rule(), RUNGS, reached, {})) == {"b": 1, "d": 1}


def test_of_a_loss_the_low_ones_go_on_and_what_is_no_number_is_the_worst() -> None:
    reached = at(a=[(2.0, 1)], b=[(1.0, 2)], c=[(math.nan, 3)], d=[(3.0, 4)])

    assert fell(judged(rule(4, "val/loss"), RUNGS, reached, {})) == {"c": 1, "d": 1}


def test_of_what_is_no_number_only_the_first_of_all_goes_on() -> None:
    reached = at(a=[(math.nan, 1)], b=[(math.nan, 2)], c=[(math.inf, 3)], d=[(2.0, 4)])

    assert fell(judged(rule(4, "val/loss"), RUNGS, reached, {})) == {"b": 1, "c": 1}


def test_who_fell_is_not_of_those_that_come_to_later_rungs_however_far_it_was_trained() -> None:
    reached = at(a=[(50, 1), (50, 10)], b=[(40, 2), (90, 11)], c=[(60, 3), (51, 12)])

    assert [one.job for one in judged(rule(), RUNGS, reached, {}) if one.epoch == 2] == ["a", "c"]


def test_what_was_decided_stands_whatever_is_known_since() -> None:
    reached = at(a=[(50, 1), (50, 10)], b=[(60, 2), (60, 11)])

    assert [one.job for one in judged(rule(), RUNGS, reached, {"b": 1}) if one.epoch == 2] == ["a"]


@given(searches(), reductions, st.randoms(use_true_random=False))
def test_the_order_in_which_files_are_read_changes_nothing(
    reached: By, reduction: int, random: "object"
) -> None:
    names = list(reached)
    random.shuffle(names)  # type: ignore[attr-defined]
    mixed = {name: reached[name] for name in names}

    assert judged(rule(reduction), RUNGS, mixed, {}) == judged(rule(reduction), RUNGS, reached, {})


@given(searches(), reductions, st.floats(0, 30))
def test_a_verdict_stays_the_same_whatever_comes_later(
    reached: By, reduction: int, now: float
) -> None:
    early = judged(rule(reduction), RUNGS, up_to(now, reached), {})
    late = judged(rule(reduction), RUNGS, reached, {})

    assert repr(early) == repr([one for one in late if reached[one.job][one.epoch].time <= now])


@given(searches(), reductions, st.lists(st.floats(0, 30), max_size=5))
def test_whenever_and_however_often_a_watch_looks_the_same_jobs_fall_at_the_same_rungs(
    reached: By, reduction: int, looks: list[float]
) -> None:
    asha = rule(reduction)

    assert watched(asha, reached, looks) == fell(judged(asha, RUNGS, reached, {}))


@given(searches(), reductions)
def test_the_best_so_far_goes_on_and_nobody_behind_the_places_does(
    reached: By, reduction: int
) -> None:
    for epoch in RUNGS:
        came = [one for one in judged(rule(reduction), RUNGS, reached, {}) if one.epoch == epoch]
        for number, one in enumerate(came, 1):
            assert (one.of, one.places) == (number, math.ceil(number / reduction))
            before = [c.value for c in came[: number - 1]]
            ahead = sum(value > one.value or math.isnan(one.value) for value in before)
            assert one.rank == ahead + 1
            assert one.goes_on is (ahead < one.places)


@given(st.permutations(range(1, 13)), reductions)
def test_of_jobs_that_come_best_first_only_the_first_goes_on_and_worst_first_all_do(
    values: list[int], reduction: int
) -> None:
    ordered = sorted(values)
    rising = at(**{f"j{v}": [(float(v), float(v))] for v in ordered})
    falling = at(**{f"j{v}": [(float(v), -float(v))] for v in ordered})

    assert fell(judged(rule(reduction), RUNGS, rising, {})) == {}
    assert fell(judged(rule(reduction), RUNGS, falling, {})).keys() == {
        f"j{v}" for v in ordered if v < 12
    }


@pytest.mark.parametrize(("jobs", "each", "kept"), [(1, 2, 1), (2, 2, 1), (3, 2, 2), (9, 4, 3)])
def test_places_are_a_share_rounded_up(jobs: int, each: int, kept: int) -> None:
    assert places(jobs, each) == kept


B_FALLS = at(a=[(50, 1)], b=[(40, 2)])
GOING = {"a": 1, "b": 2}


def orders(standing: Standing = NO_ORDERS, going: Mapping[str, int] = GOING) -> list[Order]:
    return stop_orders(rule(), fallen(rule(), RUNGS, B_FALLS, standing), going, "s")


def test_an_order_says_who_where_and_why() -> None:
    (order,) = orders()

    assert (order.what, order.jobs, order.last) == ("stop", ["b"], {"b": 2})
    assert order.why == "rung 1 (epoch 1) of s: val/top1 40 is number 2 of 2, 1 go on"
    assert order.at is not None
    assert order.at.to_plain() == {
        "sweep": "s",
        "rung": 1,
        "epoch": 1,
        "metric": "val/top1",
        "value": 40.0,
        "rank": 2,
        "of": 2,
        "places": 1,
    }


def test_no_job_is_ordered_twice_nor_after_its_end_nor_once_it_was_cancelled() -> None:
    assert orders(standing_orders(orders())) == []
    assert orders(going={"a": 1}) == []
    assert orders(standing_orders([Order(what="cancel", jobs=["b"])])) == []


def test_a_job_whose_stop_was_lifted_is_judged_no_more_and_one_that_began_afresh_is() -> None:
    (stop,) = orders()
    lift = Order(what="lift", jobs=["b"], lifts=[stop.id])
    afresh = Order(what="afresh", jobs=["b"], last={"b": 2})

    assert orders(standing_orders([stop, lift])) == []
    assert [one.jobs for one in orders(standing_orders([stop, lift, afresh]), going=GOING)] == [
        ["b"]
    ]
