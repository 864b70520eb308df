import math

import pytest
from support.built_study import built_run, built_runs, built_study

from orchestrator.results.contrasts import Verdict
from orchestrator.results.report.answer import in_short, lines_of
from orchestrator.results.report.tables import answers


def test_a_line_has_the_numbers_of_the_runs_at_the_common_rate() -> None:
    vanilla, four, sixteen, gate = lines_of(built_study())

    assert vanilla.accuracy == pytest.approx(80.1)
    assert vanilla.spread == pytest.approx(0.1)
    assert (vanilla.n, vanilla.of, vanilla.contrast) == (3, 3, None)
    assert (four.macs, four.seconds) == (pytest.approx(1.02), pytest.approx(1.4))
    assert four.outliers == pytest.approx(0.2)
    assert (four.emerged, four.judged) == (0, 3)
    told = [line.contrast and (line.contrast.verdict, line.contrast.better) for line in (
        sixteen, gate)]  # fmt: skip
    assert told == [(Verdict.HIGHER, True), (Verdict.LOWER, False)]


def test_runs_that_diverged_or_are_missing_are_told_beside_n() -> None:
    runs = [
        built_run("vanilla", 0),
        built_run("vanilla", 1, outcome="diverged"),
        built_run("vanilla", 2, outcome="", curves={}),
        built_run("gate-sdpa", 0, outcome="", curves={}),
    ]
    study = built_study(runs)

    text = answers(study, lines_of(study))

    assert "1 (1 diverged and 1 missing)" in text
    assert "0 (1 missing)" in text
    assert "one seed" not in text  # an arm without a result has no verdict


def test_a_study_without_a_plain_arm_has_no_differences() -> None:
    study = built_study([built_run("registers=4", seed) for seed in range(3)])
    (line,) = lines_of(study)

    assert (line.contrast, line.macs) == (None, None)
    assert [*in_short(study, [line])] == []
    assert "difference" not in answers(study, [line])


def test_numbers_that_are_not_finite_are_said_to_be_so() -> None:
    broken = {**built_run("gate-sdpa", 1).curves, "val/top1": {30: math.nan}}
    runs = [*built_runs(), built_run("gate-sdpa", 3, id="n", curves=broken)]
    study = built_study(runs)

    assert "not finite" in answers(study, lines_of(study))


def test_the_answer_in_short_names_what_differs_and_what_it_costs() -> None:
    study = built_study()

    _, accuracy, cost = in_short(study, lines_of(study))

    assert accuracy.startswith("vanilla reaches 80.1 % top-1 (mean of 3 seeds); higher: registers=")
    assert "lower: gate-sdpa (\N{MINUS SIGN}4.0 points)" in accuracy
    assert "equivalent within 0.5 points: registers=4" in accuracy
    assert cost == (
        "Beside vanilla, multiply-adds go from +2.0 % (registers=4) to +9.0 % (registers=16, and "
        "+160 % time)."
    )
