import numpy as np
import pytest
from scipy import stats

from orchestrator.results.power import detectable
from orchestrator.results.statistics import welch


@pytest.mark.parametrize(("one", "other"), [(2, 2), (2, 3), (5, 5), (16, 16), (16, 17), (40, 90)])
def test_a_two_sided_t_test_finds_it_in_four_of_five_studies(one: int, other: int) -> None:
    freedom = one + other - 2
    shift = detectable(0.3, one, other) / (0.3 * (1 / one + 1 / other) ** 0.5)
    critical = stats.t.ppf(0.975, freedom)

    assert stats.nct.sf(critical, freedom, shift) == pytest.approx(0.8, abs=5e-4)


def test_welchs_test_finds_it_in_drawn_studies() -> None:
    draw, shift = np.random.default_rng(7), detectable(0.3, 5, 5)
    found = [
        welch(list(draw.normal(shift, 0.3, 5)), list(draw.normal(0, 0.3, 5))) for _ in range(2000)
    ]

    assert shift == pytest.approx(0.606, abs=0.002)
    assert np.mean([one.p < 0.05 for one in found if one]) == pytest.approx(0.8, abs=0.03)


def test_more_seeds_tell_less() -> None:
    found = [detectable(1.0, seeds, seeds) for seeds in range(2, 60)]

    assert found == sorted(found, reverse=True)
