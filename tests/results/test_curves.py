import math

import numpy as np
import pytest

from orchestrator.jobs.journal import History, Point
from orchestrator.jobs.predictions import Predictions
from orchestrator.results.curves import Answers, answers, pair, pairs


def history(*losses: float) -> History:
    points = [Point(0.0, step, 0, {"train/loss": loss}) for step, loss in enumerate(losses)]
    return History(tuple(points))


def predictions(keys: list[str], right: list[bool]) -> Predictions:
    size = len(keys)
    classes = np.array([[0 if one else 1] for one in right], dtype=np.uint16)
    return Predictions(
        key=np.array([key.encode() for key in keys]),
        label=np.zeros(size, np.uint16),
        classes=classes,
        probability=np.ones(size, np.float16),
        loss=np.zeros(size, np.float32),
    )


def test_two_curves_part_at_the_first_step_whose_bits_differ() -> None:
    (same,) = pairs(history(3.0, 2.0, math.nan), history(3.0, 2.0, math.nan))
    (apart,) = pairs(history(3.0, 2.0, 1.0, math.nan), history(3.0, 2.0 + 1e-12, 4.0))

    assert (same.parts_at, same.gap, same.common) == (None, 0.0, 3)
    assert (apart.parts_at, apart.gap, apart.gap_at) == (1, 3.0, 2)
    assert (math.isnan(apart.one or 0), apart.other, apart.common) == (True, 4.0, 3)


def test_a_metric_of_one_run_alone_has_no_gap() -> None:
    found = pair("gates/mean", {}, {10: 0.5})

    assert (found.one, found.other, found.parts_at, found.gap) == (None, 0.5, None, None)


def test_only_images_that_both_were_asked_about_count_in_whatever_order() -> None:
    one = predictions(["a", "b", "c", "d"], [True, True, False, False])
    other = predictions(["d", "c", "b", "x"], [True, False, False, True])

    assert answers(one, other) == Answers(images=3, both=0, one=1, other=1, p=pytest.approx(1.0))
    assert answers(one, predictions(["z"], [True])) is None
