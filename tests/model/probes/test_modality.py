import numpy as np
import pytest

from model.probes.modality import LARGEST_SAMPLE, describe_modes, dip, two_components


def test_equal_steps_have_the_smallest_dip_there_is() -> None:
    assert dip(np.arange(50.0)) == pytest.approx(1 / 100)


def test_two_points_have_the_largest_dip_there_is() -> None:
    assert dip(np.repeat([0.0, 1.0], 500)) == pytest.approx(1 / 4)


def test_two_far_groups_of_equal_steps_come_close_to_it() -> None:
    """Of 2 m points the sides deviate by m less one step of the minorant: (m - 1) / 4 m, and up."""
    groups = np.concatenate([np.linspace(0, 1, 100), np.linspace(1e6, 1e6 + 1, 100)])

    assert dip(groups) == pytest.approx(1 / 4, abs=0.01)


def test_unequal_groups_dip_by_half_of_the_smaller() -> None:
    """Half of the share that is missing in between: the best single mode splits it evenly."""
    groups = np.concatenate([np.linspace(0, 1, 900), np.linspace(1e6, 1e6 + 1, 100)])

    assert dip(groups) == pytest.approx(0.05, abs=0.005)


def test_the_dip_knows_neither_scale_nor_place_nor_side() -> None:
    values = np.random.default_rng(0).gamma(2, 1, 400)

    assert dip(3 * values - 7) == pytest.approx(dip(values))
    assert dip(-values) == pytest.approx(dip(values))


def test_one_mode_dips_less_than_two() -> None:
    generator = np.random.default_rng(0)
    one = generator.normal(0, 1, 5000)

    assert dip(one) < 0.01 < dip(np.concatenate([one, one + 5]))


def test_planted_components_are_found_again() -> None:
    generator = np.random.default_rng(0)
    values = np.concatenate([generator.normal(6, 0.1, 9500), generator.normal(7, 0.05, 500)])

    fit = two_components(values)

    assert fit["upper_share"] == pytest.approx(0.05, rel=0.02)
    assert fit["mode_ratio"] == pytest.approx(np.e, rel=0.02)
    assert fit["bic_gain"] > 1000


def test_one_normal_component_needs_no_second() -> None:
    assert two_components(np.random.default_rng(0).normal(6, 0.1, 10_000))["bic_gain"] < 0


def test_neither_tells_artifacts_so_neither_decides() -> None:
    """A published figure with artifacts hardly dips; one mode with a tail gets two components."""
    generator = np.random.default_rng(0)
    artifacts = np.concatenate(
        [generator.normal(400, 40, 97_600), generator.uniform(500, 1400, 2_400)]
    )
    tail = np.exp(generator.standard_t(5, 100_000) / 5 + 6)

    assert describe_modes(artifacts)["dip"] < 0.002
    assert describe_modes(tail)["bic_gain"] > 0


def test_what_has_no_modes_is_nan_and_no_failure() -> None:
    for values in (np.full(10, np.nan), np.zeros(10), np.array([])):
        assert np.isnan(describe_modes(values)["dip"])
    assert np.isnan(describe_modes(np.ones(10))["bic_gain"])


def test_samples_repeat() -> None:
    values = np.random.default_rng(0).gamma(2, 1, 2 * LARGEST_SAMPLE)

    assert describe_modes(values) == describe_modes(values)
