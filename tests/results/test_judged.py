from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from orchestrator.jobs.facts import Ending
from orchestrator.jobs.files import publish
from orchestrator.jobs.layout import Root
from orchestrator.jobs.predictions import Predictions, predictions_file
from orchestrator.results.judged import judged, together
from orchestrator.results.result import Result


def said(keys: Sequence[bytes], right: Sequence[bool]) -> Predictions:
    label = np.zeros(len(keys), np.uint16)
    return Predictions(
        key=np.array(keys),
        label=label,
        classes=np.stack([~np.array(right), label], axis=1).astype(np.uint16),
        probability=np.ones(len(keys), np.float16),
        loss=np.ones(len(keys), np.float32),
    )


def answers(keys: list[bytes], right: list[bool]) -> tuple[list[bytes], NDArray[np.bool_]]:
    return keys, np.array(right)


def test_images_are_matched_by_key_and_those_that_one_seed_lacks_are_left_out() -> None:
    one = answers([b"a", b"b", b"c"], [True, False, True])
    other = answers([b"c", b"x", b"b"], [False, True, True])

    found = together([one, other])

    assert found is not None
    assert list(found.keys) == [b"b", b"c"]
    assert found.right.tolist() == [[False, True], [True, False]]


def test_of_a_group_all_seeds_must_have_said_something_of_the_same_images() -> None:
    one = answers([b"a"], [True])

    assert together([one, None]) is None
    assert together([one, answers([b"b"], [True])]) is None
    assert together([]) is None


@pytest.mark.parametrize(
    ("value", "metric", "there"),
    [(50.0, "val/top1", True), (51.0, "val/top1", False), (50.0, "val/loss", False)],
)
def test_predictions_count_if_they_are_of_the_very_value(
    tmp_path: Path,
    value: float,
    metric: str,
    there: bool,  # noqa: FBT001 - a parameter of pytest
) -> None:
    root, job = Root(tmp_path), "ab" * 16
    for step, right in [(5, [True, True]), (10, [True, False])]:
        file = predictions_file(root.job(job).predictions, 1, step)
        publish(file, said([b"a", b"b"], right).to_bytes())
    done = Result(job, {}, Ending.FINISHED, {metric: value})
    failed = Result("cd" * 16, {}, None, {metric: 1.0})

    (found,) = judged(root, [[done, failed]], metric)

    assert (found is not None) == there


PARENT, CHILD = "ab" * 16, "cd" * 16


def kept(root: Root, job: str, found: Predictions) -> None:
    publish(predictions_file(root.job(job).predictions, 1, 5), found.to_bytes())


def predicted(rows: Sequence[tuple[bytes, int, Sequence[int], int]]) -> Predictions:
    """Of each image its key, its class, the likeliest ones, and the likeliest of those shared."""
    keys, label, classes, masked = zip(*rows, strict=True)
    return Predictions(
        key=np.array(keys),
        label=np.array(label, np.uint16),
        classes=np.array(classes, np.uint16),
        probability=np.ones(len(keys), np.float16),
        loss=np.ones(len(keys), np.float32),
        masked=np.array(masked, np.uint16),
    )


def evaluated(clean: float, masked: float) -> Result:
    metrics = {"eval/s/clean_masked": clean, "eval/s/top1_masked": masked}
    metrics |= {"eval/s/gap": clean - masked}
    return Result(CHILD, {}, Ending.FINISHED, metrics, config={"of": PARENT})


@pytest.fixture
def shifted(tmp_path: Path) -> Root:
    """A model of classes 0 to 3, evaluated on images of 1 and 2."""
    root = Root(tmp_path)
    images = [(b"a", 1, (0, 1, 2), 1), (b"b", 2, (1, 2, 3), 1), (b"c", 2, (0, 3, 2), 2)]
    kept(root, PARENT, predicted([*images, (b"d", 0, (0, 1, 2), 0)]))
    kept(root, CHILD, predicted([(b"x", 1, (3, 0, 1), 1), (b"y", 2, (2, 0, 1), 2),
                                 (b"z", 2, (1, 0, 2), 1), (b"w", 1, (2, 1, 0), 2)]))  # fmt: skip
    return root


def test_of_a_gap_images_of_both_sets_are_judged_among_the_classes_that_they_share(
    shifted: Root,
) -> None:
    (found,) = judged(shifted, [[evaluated(200 / 3, 50.0)]], "eval/s/gap")

    assert found is not None
    assert (list(found.keys), found.right.tolist()) == ([b"a", b"b", b"c"], [[True, False, True]])
    assert found.less is not None
    assert list(found.less.keys) == [b"x", b"y", b"z", b"w"]
    assert found.less.right.tolist() == [[True, True, False, False]]


def test_clean_images_that_the_evaluation_kept_count_and_not_those_of_its_parent(
    shifted: Root,
) -> None:
    clean = predicted([(b"a", 1, (0, 3, 4), 1), (b"b", 2, (0, 3, 4), 1)])
    kept(shifted, CHILD, replace(predicted([(b"x", 1, (3, 0, 1), 1)]), clean=clean))

    (found,) = judged(shifted, [[evaluated(50.0, 100.0)]], "eval/s/gap")

    assert found is not None
    assert found.less is not None
    assert (list(found.keys), found.right.tolist()) == ([b"a", b"b"], [[True, False]])
    assert (list(found.less.keys), found.less.right.tolist()) == ([b"x"], [[True]])


def test_a_gap_whose_clean_images_are_not_those_that_were_reported_is_judged_by_none(
    shifted: Root,
) -> None:
    assert judged(shifted, [[evaluated(100.0, 50.0)]], "eval/s/gap") == [None]
    (alone,) = judged(shifted, [[evaluated(100.0, 50.0)]], "eval/s/top1_masked")
    assert alone is not None
    for file in shifted.job(PARENT).predictions.iterdir():
        file.unlink()
    assert judged(shifted, [[evaluated(200 / 3, 50.0)]], "eval/s/gap") == [None]
