from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from orchestrator.errors import RootError
from orchestrator.jobs.facts import Attempt, Ending, Start
from orchestrator.jobs.predictions import Predictions, predictions_by_step, predictions_file

SOME = Predictions(
    key=np.array([b"a", b"b"]),
    label=np.array([0, 2], np.uint16),
    classes=np.array([[0, 1, 2], [1, 2, 0]], np.uint16),
    probability=np.array([0.5, 0.4], np.float16),
    loss=np.array([0.7, 1.2], np.float32),
)


def attempt(number: int, from_step: int, *, discarded: bool = False) -> Attempt:
    start = Start("t", 0, 0, 0.0, process="", host="h", code_hash="", facts={})
    facts = {"heartbeat": 0.0, "running": None, "discarded": discarded}
    return Attempt(number, start, from_step, Ending.FINISHED, 100, (), **facts)


def test_of_each_step_those_count_that_the_job_went_on_from(tmp_path: Path) -> None:
    for number, step in [(1, 10), (2, 20), (2, 30), (3, 30)]:
        predictions_file(tmp_path, number, step).touch()
    attempts = [attempt(1, -1, discarded=True), attempt(2, -1), attempt(3, 20)]

    found = predictions_by_step(tmp_path, attempts)

    wanted = {20: 2, 30: 3}
    assert found == {step: predictions_file(tmp_path, n, step) for step, n in wanted.items()}


def test_predictions_come_out_as_they_went_in(tmp_path: Path) -> None:
    file = tmp_path / "001-000000010.npz"
    file.write_bytes(SOME.to_bytes())

    found = Predictions.read(file)

    assert found.masked is None
    assert found.right().tolist() == [True, False]
    for name in ("key", "label", "classes", "probability", "loss"):
        np.testing.assert_array_equal(getattr(found, name), getattr(SOME, name), strict=True)


def test_what_was_said_of_clean_images_is_in_the_same_file(tmp_path: Path) -> None:
    file = tmp_path / "001-000000010.npz"
    shifted = replace(SOME, masked=SOME.label)
    file.write_bytes(
        replace(shifted, clean=replace(shifted, key=np.array([b"x", b"y"]))).to_bytes()
    )

    found = Predictions.read(file)

    assert found.key.tolist() == [b"a", b"b"]
    assert found.clean is not None
    assert found.clean.key.tolist() == [b"x", b"y"]
    assert found.clean.masked is not None
    assert found.clean.masked.tolist() == [0, 2]
    assert found.clean.clean is None


@pytest.mark.parametrize("content", [b"", SOME.to_bytes()[:-40]])
def test_a_damaged_file_is_told_by_its_name(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "001-000000010.npz"
    file.write_bytes(content)

    with pytest.raises(RootError, match=r"001-000000010\.npz"):
        Predictions.read(file)
