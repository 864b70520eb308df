import math

import pytest
from support.built_study import built_run, built_runs, built_study

from orchestrator.results.contrasts import Verdict
from orchestrator.results.report.answer import in_short, lines_of
from orchestrator.results.report.page import page, pictures_of
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


def test_a_run_that_is_not_over_or_diverged_does_not_say_that_no_artifacts_emerge() -> None:
    under_way = [built_run("vanilla", seed, outcome="") for seed in range(2)]
    lost = [built_run("vanilla", 2, outcome="diverged")]
    others = [run for run in built_runs() if run.key == "registers=4"]
    open_ = built_study([*under_way, *lost, *others])
    part = built_study([built_run("vanilla", 3), *under_way, *others])

    assert lines_of(open_)[0].judged == 0
    assert next(in_short(open_, lines_of(open_))).startswith("Whether high-norm artifacts emerged")
    assert (lines_of(part)[0].judged, lines_of(part)[0].emerged) == (1, 0)
    assert next(in_short(part, lines_of(part))) == (
        "High-norm artifacts emerged in vanilla in 0 of 1 seed so far (2 more to come); in no seed "
        "of registers=4."
    )


def test_a_mean_of_those_that_did_not_diverge_is_never_told_without_those_that_did() -> None:
    lost = [built_run("registers=16", seed, outcome="diverged") for seed in (3, 4)]
    study = built_study([*built_runs(), *lost])

    accuracy = [*in_short(study, lines_of(study))][1]

    assert "higher: registers=16" in accuracy
    assert "Diverged, and in no mean: 2 of 5 of registers=16." in accuracy


def test_where_every_run_diverged_the_table_counts_them() -> None:
    runs = [built_run(arm, s, outcome="diverged") for arm in ("vanilla", "gate-sdpa")
            for s in range(3)]  # fmt: skip
    study = built_study(runs)

    text = page(study, pictures_of(study))

    assert text.count("0 (3 diverged)") == 2


def test_an_arm_that_is_compared_at_another_rate_is_named_with_it() -> None:
    runs = [run for run in built_runs() if run.key != "gate-sdpa"]
    runs += [built_run("gate-sdpa", seed, lr=5e-3) for seed in range(3)]
    study = built_study(runs)

    text = answers(study, lines_of(study))

    assert "Arms at learning rate 0.003." in text
    assert "gate-sdpa is at 0.005, the only rate that it has." in text
