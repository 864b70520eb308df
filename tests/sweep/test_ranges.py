import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.sweep.expand import Sweep
from orchestrator.sweep.ranges import powers, steps

Load = Callable[..., Sweep]
Refused = Callable[..., list[str]]

HEAD = "name: a\nset: {data.name: d}\n"


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((0, 8, 2), [0, 2, 4, 6, 8]),
        ((0, 9, 2), [0, 2, 4, 6, 8]),
        ((5, 1, -2), [5, 3, 1]),
        ((3, 3, 1), [3]),
        ((0.1, 0.5, 0.1), [0.1, 0.2, 0.3, 0.4, 0.5]),
        ((1e-4, 3e-4, 1e-4), [0.0001, 0.0002, 0.0003]),
        ((0, 1, 0.25), [0.0, 0.25, 0.5, 0.75, 1.0]),
    ],
)
def test_a_range_has_the_numbers_that_one_would_write(
    parts: tuple[float, float, float], expected: list[float]
) -> None:
    assert repr(steps(*parts)) == repr(expected)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((1e-4, 1e-1, 4), [0.0001, 0.001, 0.01, 0.1]),
        ((1e-3, 1e-2, 3), [0.001, 0.00316228, 0.01]),
        ((0.1, 0.001, 3), [0.1, 0.01, 0.001]),
        ((64, 512, 4), [64, 128, 256, 512]),
        ((1, 100, 4), [1.0, 4.64159, 21.5443, 100.0]),
        ((1.0000001, 1.0000004, 3), [1.0000001, 1.00000025, 1.0000004]),
    ],
)
def test_a_logspace_has_both_its_ends_and_the_same_factor_between(
    parts: tuple[float, float, int], expected: list[float]
) -> None:
    found = powers(*parts)

    assert [type(number) for number in found] == [type(number) for number in expected]
    assert found == pytest.approx(expected, rel=1e-12)
    assert (found[0], found[-1]) == (expected[0], expected[-1])


DECIMALS = st.integers(-3000, 3000).map(lambda number: number / 1000)


@given(DECIMALS, st.integers(1, 400).map(lambda number: number / 1000), st.integers(0, 60))
def test_no_number_of_a_range_has_more_decimals_than_what_it_is_made_of(
    start: float, step: float, count: int
) -> None:
    found = steps(start, round(start + count * step, 3), step)

    assert found == [round(start + k * step, 3) for k in range(count + 1)]


@given(st.floats(1e-9, 1e9), st.floats(1e-9, 1e9), st.integers(2, 40))
def test_a_logspace_goes_one_way_from_end_to_end(start: float, end: float, count: int) -> None:
    found = powers(start, end, count)

    assert (len(found), found[0], found[-1]) == (count, start, end)
    assert sorted(found, reverse=end < start) == found
    expected = [start * math.exp(math.log(end / start) * k / (count - 1)) for k in range(count)]
    assert found == pytest.approx(expected, rel=1e-5)


def test_a_range_may_stand_wherever_a_list_may(load: Load) -> None:
    sweep = load(
        f"{HEAD}seeds: {{range: [0, 2, 1]}}\n"
        "placement: {keep_epochs: {range: [10, 30, 10]}}\n"
        "grid:\n  - optim.lr: {logspace: [1e-4, 1e-2, 3]}\n"
        "  - zip: {model.depth: {range: [6, 8, 1]}, model.registers: [0, 1, 2]}\n"
        "    seeds: {range: [5, 6, 1]}\n"
    )

    rates = [point.config.optim.lr for point in sweep.points[:9:3]]
    depths = [(p.config.model.depth, p.config.seed) for p in sweep.points[9:]]
    assert rates == [0.0001, 0.001, 0.01]
    assert depths == [(6, 5), (6, 6), (7, 5), (7, 6), (8, 5), (8, 6)]
    assert {point.placement.keep_epochs for point in sweep.points} == {(10, 20, 30)}


def test_a_range_makes_the_jobs_of_its_list(load: Load) -> None:
    ranged = load(f"{HEAD}grid: [{{model.drop_path: {{range: [0.1, 0.4, 0.1]}}}}]")
    listed = load(f"{HEAD}grid: [{{model.drop_path: [0.1, 0.2, 0.3, 0.4]}}]")

    assert ranged.points == listed.points


def test_a_case_may_be_called_range(load: Load) -> None:
    (point,) = load(f"{HEAD}grid: [{{cases: {{range: {{model.depth: 3}}}}}}]").points

    assert (point.name, point.config.model.depth) == ("range", 3)


def test_ranges_beyond_all_bounds_are_refused_before_they_are_made(refused: Refused) -> None:
    (one,) = refused(f"{HEAD}grid: [{{optim.lr: {{range: [0, 1, 1e-12]}}}}]")
    many = "\n".join(f"  - optim.lr: {{range: [1, 20000, {n}]}}" for n in (1, 1, 1))

    assert one.startswith("a.yaml:3: grid[0].optim.lr.range: it has 1000000000001 numbers; a file")
    assert refused(f"{HEAD}grid:\n{many}") == [
        "a.yaml:6: the ranges up to here hold more than 50000 values"
    ]
