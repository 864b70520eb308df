import pytest

from orchestrator.results.spread import interval, t_95


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [(1, 12.706), (2, 4.303), (30, 2.042), (31, 2.0395), (60, 2.0003), (120, 1.9799)],
)
def test_the_quantiles_are_those_of_the_printed_tables(freedom: int, quantile: float) -> None:
    assert t_95(freedom) == pytest.approx(quantile, abs=5e-4)


def test_quantiles_fall_with_every_degree_of_freedom() -> None:
    quantiles = [t_95(freedom) for freedom in range(1, 200)]

    assert quantiles == sorted(quantiles, reverse=True)


def test_one_value_has_no_interval() -> None:
    assert interval([1.0]) is None
    assert interval([]) is None
