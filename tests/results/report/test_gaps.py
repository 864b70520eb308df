from dataclasses import replace

import numpy as np
import pytest
from support.built_study import built_run, built_runs, built_study

from orchestrator.results.contrasts import Judged, Verdict
from orchestrator.results.report.answer import lines_of
from orchestrator.results.report.gaps import gap_on, gap_tables, gaps, gaps_of
from orchestrator.results.report.tables import answers


def judged(accuracy: float, seed: int) -> Judged:
    """Three seeds of 400 images of which about a share is right."""
    drawn = np.random.default_rng(seed).random((3, 400))
    keys = [str(place).encode() for place in range(400)]
    clean = Judged(keys=keys, right=drawn < 0.9)
    return replace(clean, less=Judged(keys=keys, right=drawn < accuracy))


def test_gaps_stand_against_the_plain_arm_and_those_of_gates_against_four_registers() -> None:
    plain, usual = gaps_of(built_study(), "imagenet_a")

    assert [arm.name for arm in plain.arms] == [
        "vanilla",
        "registers=4",
        "registers=16",
        "gate-sdpa",
    ]
    assert [arm.name for arm in usual.arms] == ["registers=4", "gate-sdpa"]
    told = [one and (one.verdict, one.better) for one in plain.contrasts]
    assert told == [None, (Verdict.EQUIVALENT, None), (Verdict.EQUIVALENT, None),
                    (Verdict.HIGHER, False)]  # fmt: skip
    (contrast,) = usual.contrasts[1:]
    assert contrast is not None
    assert contrast.difference == pytest.approx(5.0)
    assert contrast.p_holm == contrast.p  # a family of one


def test_each_table_says_in_words_what_it_shows_and_that_images_are_not_kept() -> None:
    said = "".join(gap_tables(gaps(built_study())))

    assert (
        "On imagenet_a, the gap of vanilla is 60.1 points; beside it, wider: gate-sdpa (+5.0 "
        "points); equivalent within 0.5 points: registers=4 and registers=16."
    ) in said
    assert "No interval over images" in said
    assert "over seeds and images</th>" not in said


def test_where_predictions_are_kept_the_interval_over_images_stands_beside() -> None:
    kept = {
        (arm, gap_on("imagenet_a")): judged(accuracy, seed)
        for seed, (arm, accuracy) in enumerate({"vanilla": 0.5, "gate-sdpa": 0.3}.items())
    }
    study = built_study(judged=kept)

    plain, _ = gaps_of(study, "imagenet_a")
    interval = plain.contrasts[-1] and plain.contrasts[-1].bootstrap95
    assert interval is not None
    assert 5 < interval[0] < 20 < interval[1] < 35
    said = "".join(gap_tables(gaps(study)))
    assert "over seeds and images</th>" in said
    assert "800 images of both sets" in said


def test_an_arm_of_another_length_is_compared_with_none_and_that_is_said() -> None:
    runs = [
        replace(run, scale={"train.epochs": 100 if run.key == "gate-sdpa" else 30})
        for run in [*built_runs(), built_run("gate-sdpa", 3)]
    ]
    study = built_study(runs)

    lines = {line.arm.name: line for line in lines_of(study)}
    assert lines["gate-sdpa"].contrast is None
    assert lines["registers=16"].contrast is not None
    (plain,) = gaps_of(study, "imagenet_a")
    assert "gate-sdpa" not in [arm.name for arm in plain.arms]
    assert "length or size than vanilla, and not compared: gate-sdpa." in answers(
        study, [*lines.values()]
    )
