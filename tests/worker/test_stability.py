import math
from copy import deepcopy

import numpy as np
import pytest

from orchestrator.worker.stability import (
    BAD_EPOCHS_LIMIT,
    NONFINITE_LIMIT,
    SPIKE_WINDOW,
    Course,
    Step,
    is_spike,
)


def taken(*steps: Step) -> Course:
    course = Course()
    for step in steps:
        course.take(step)
    return course


def test_a_training_point_is_the_mean_over_images_and_steps_since_the_one_before() -> None:
    course = taken(Step(2.0, 3.0, 30), Step(1.0, 5.0, 10))

    assert course.end_window() == {"train/loss": 1.75, "train/grad_norm": 4.0}
    course.take(Step(0.5, 1.0, 10))
    assert course.end_window() == {"train/loss": 0.5, "train/grad_norm": 1.0}


def test_an_epoch_tells_the_spread_of_its_finite_gradient_norms_and_how_many_were_not() -> None:
    norms = [*np.linspace(1, 101, 101).tolist(), math.inf, math.nan]
    course = taken(*(Step(1.0, norm, 10) for norm in norms))

    told = course.end_epoch(limit=None)

    assert told["stability/grad_norm_max"] == 101
    assert told["stability/grad_norm_p50"] == 51
    assert told["stability/grad_norm_p90"] == 91
    assert told["stability/grad_norm_p99"] == 100
    assert told["stability/nonfinite_steps"] == 2
    assert course.epoch.norms == []


def test_an_epoch_without_a_finite_gradient_tells_no_quantile() -> None:
    assert "stability/grad_norm_max" not in taken(Step(1.0, math.nan, 1)).end_epoch(limit=None)


def test_a_spike_exceeds_the_median_of_200_steps_by_6_deviations() -> None:
    before = [1.0, 1.2] * (SPIKE_WINDOW // 2)  # median 1.1, median absolute deviation 0.1

    assert is_spike(1.701, before)
    assert not is_spike(1.699, before)
    assert not is_spike(9.9, before[1:])
    assert not is_spike(math.nan, before)


def test_a_spike_is_held_against_the_steps_before_it_across_epochs() -> None:
    course = taken(*(Step(1.0 + 0.2 * (n % 2), 1.0, 1) for n in range(SPIKE_WINDOW)))
    course.end_epoch(limit=None)
    for loss in (5.0, 5.0, 1.1):
        course.take(Step(loss, 1.0, 1))

    assert course.end_epoch(limit=None)["stability/loss_spikes"] == 2
    assert len(course.recent) == SPIKE_WINDOW


def test_a_loss_that_is_no_number_spoils_neither_the_median_nor_the_mean_of_an_epoch() -> None:
    losses = np.random.default_rng(0).normal(3.0, 0.3, 1000).tolist()
    course = taken(*(Step(loss, 1.0, 10) for loss in losses))
    spoilt = taken(*(Step(loss, 1.0, 10) for loss in losses[:300]))
    spoilt.take(Step(math.nan, math.nan, 10))
    for loss in losses[300:]:
        spoilt.take(Step(loss, 1.0, 10))

    told, expected = spoilt.end_epoch(limit=3.1), course.end_epoch(limit=3.1)

    assert told["stability/loss_spikes"] == expected["stability/loss_spikes"] == 0
    assert told["stability/epoch_loss"] == expected["stability/epoch_loss"]
    assert told["stability/nonfinite_steps"] == 1
    assert spoilt.bad_epochs == 0


def test_only_steps_in_a_row_without_a_finite_gradient_are_a_divergence_which_stays_one() -> None:
    bad, good = Step(1.0, math.inf, 1), Step(1.0, 1.0, 1)
    course = taken(*[bad] * (NONFINITE_LIMIT - 1), good, bad)
    assert course.divergence is None

    for step in [*[bad] * (NONFINITE_LIMIT - 1), good]:
        course.take(step)

    assert course.nonfinite == 0
    assert "10 steps in a row" in str(course.divergence)


@pytest.mark.parametrize("loss", [0.71, math.nan])
def test_epochs_in_a_row_above_the_loss_of_zero_logits_are_a_divergence_but_not_in_warm_up(
    loss: float,
) -> None:
    course = Course()

    def epoch(of: float, limit: float | None) -> None:
        course.take(Step(of, 1.0, 1))
        course.end_epoch(limit=limit)

    for _ in range(BAD_EPOCHS_LIMIT + 1):
        epoch(loss, limit=None)
    epoch(loss, limit=math.log(2))
    epoch(1.009 * math.log(2), limit=math.log(2))
    epoch(loss, limit=math.log(2))
    assert course.divergence is None

    epoch(loss, limit=math.log(2))

    assert "2 epochs in a row" in str(course.divergence)


def test_a_course_that_was_stored_goes_on_as_if_it_had_not_been() -> None:
    steps = [Step(1.0 + 0.01 * n, 2.0 if n % 7 else math.inf, 5) for n in range(240)]
    whole, stored = taken(*steps[:230]), taken(*steps[:230])

    stored = Course.from_plain(deepcopy(stored.to_plain()))
    for step in steps[230:]:
        whole.take(step)
        stored.take(step)

    assert stored == whole
    assert stored.end_epoch(limit=1.0) == whole.end_epoch(limit=1.0)
