import json
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.cli.results import show_sheet
from orchestrator.controller.results import answer_of, check
from orchestrator.errors import PackageError, SpecError
from orchestrator.jobs.facts import Ending
from orchestrator.results.answer import Answer, Question, as_json
from orchestrator.results.contrasts import Judged
from orchestrator.results.course import Mark
from orchestrator.results.moments import moment_of
from orchestrator.results.notes import notes_of
from orchestrator.results.provenance import Made
from orchestrator.results.result import Result
from orchestrator.results.sheet import plain, shown
from orchestrator.results.writers import as_csv, as_latex, as_markdown

GOLDEN = Path(__file__).with_name("results")
CASES = {
    "vanilla": (0, 1.0, (80.1, 80.4, 80.2)),
    "registers-4": (4, 1.02, (80.9, 81.3, 81.2)),
    "gate_sdpa": (0, 1.08, (80.3, 80.2, 80.25)),
    "wild": (0, 1.0, (75.0, 84.0, 81.0)),
    "alone": (0, 1.0, (81.0,)),
}
TODAY = Made(codes=frozenset({"c1"}), data=frozenset({"d1"}), ranks=frozenset({1}))


def job(case: str, registers: int, seed: int, value: float, **more: Any) -> Result:
    lr = more.pop("lr", 1e-3)
    macs = more.pop("macs", 1.0)
    config = {"model": {"registers": registers}, "optim": {"lr": lr}, "seed": seed}
    metrics = {"val/top1": value, "val/loss": 1.0 + seed / 8, "odd/metric": value}
    course = tuple(
        Mark(step=n, epoch=n, hours=n / 2, macs=n * macs, metrics={"val/top1": value - 3 + n})
        for n in (1, 2, 3)
    )
    axes = {"case": case, "seed": seed}
    made = {"made": TODAY, "course": course, "name": f"{case},seed={seed}"}
    return Result(f"{case}{lr}{seed}", axes, Ending.FINISHED, metrics, config, **{**made, **more})


def study() -> list[Result]:
    found = [
        job(case, registers, seed, value, macs=macs)
        for case, (registers, macs, values) in CASES.items()
        for seed, value in enumerate(values)
    ]
    diverged = replace(job("wild", 0, 3, 1.0), ending=Ending.DIVERGED)
    mixed = replace(TODAY, codes=frozenset({"c1", "c0"}), older=True)
    return [
        replace(one, made=mixed) if one.axes["case"] == "gate_sdpa" and one.axes["seed"] else one
        for one in (*found, diverged)
    ]


def images(groups: Sequence[Sequence[Result]], metric: str) -> list[Judged | None]:
    draw = np.random.default_rng(3)
    told = [
        draw.random((len(group), 500)) < float(group[0].metrics[metric]) / 100 for group in groups
    ]
    keys = [f"{n}".encode() for n in range(500)]
    return [Judged(keys=keys, right=right) for right in told]


def ask(results: list[Result] | None = None, **question: Any) -> Answer:
    asked = Question(**question)
    found = study() if results is None else results
    return answer_of(found, asked, moment_of(asked.at), images)


def compared() -> Answer:
    return ask(by=["case", "model.registers"], also=["val/loss"], baseline="case == 'vanilla'")


def as_text(found: Answer) -> str:
    """As a log shows it."""
    with redirect_stdout(StringIO()) as out:
        show_sheet(shown(found, wide=False))
    return out.getvalue().rstrip("\n")


FORMS = {
    "compared.txt": as_text,
    "compared.csv": lambda found: as_csv(plain(found)),
    "compared.md": lambda found: as_markdown(shown(found, wide=True)),
    "compared.tex": lambda found: as_latex(shown(found, wide=True)),
    "compared.json": lambda found: json.dumps(as_json(found, notes_of(found)), indent=1),
}


@pytest.mark.parametrize("name", FORMS)
def test_the_forms_are_those_that_were_accepted(name: str) -> None:
    text, golden = FORMS[name](compared()) + "\n", GOLDEN / name
    if os.environ.get("ACCEPT_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)

    assert golden.read_text() == text, (
        f"{golden} differs. If that is right: ACCEPT_GOLDEN=1 python -m pytest {__file__}"
    )


def test_a_terminal_of_80_columns_holds_the_usual_table() -> None:
    lines = as_text(ask(baseline="case == 'vanilla'")).splitlines()

    assert max(map(len, lines)) <= 80


def test_without_anything_to_say_the_table_is_bare() -> None:
    found = ask([job("a", 0, 0, 80.0), job("b", 4, 0, 81.0)])

    assert as_text(found).splitlines() == [
        "case  n  val/top1",
        "a     1        80",
        "b     1        81",
    ]


def test_the_sheet_and_its_csv_tell_of_the_same_rows() -> None:
    found = compared()
    words = [row["verdict"] for row in plain(found)]
    sheet = shown(found, wide=True)

    assert words == ["baseline", "higher", "equivalent", "undecided", "one seed"]
    assert [row[sheet.columns.index("verdict")] for row in sheet.rows] == words
    assert [row[sheet.columns.index("case")] for row in sheet.rows] == list(CASES)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("registers == 0", r"--baseline holds for 4 of the rows; it must pick exactly one"),
        ("case == 'x'", r"holds for none of the rows.*\n  case=vanilla\n  case=registers-4\n"),
        ("seed == 0 and case == 'wild'", r"holds for a part of a row only \(case=wild\)"),
        ("case ==", r"--baseline: column"),
        ("state == 'DONE'", r"--baseline: column 1: state is of one job; a row is told by"),
        ("lrr == 1", r"--baseline: column 1: lrr is not a key here; nearest: optim.lr"),
    ],
)
def test_a_baseline_is_exactly_one_row(expression: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        ask(baseline=expression)


@pytest.mark.parametrize("question", [{"margin": 0.5}, {"on_seed": 1}, {"choose": "seed"}], ids=str)
def test_a_question_has_no_part_without_what_it_belongs_to(question: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=r"^--"):
        check(Question(**question))
    check(Question(baseline="x", margin=0.5, choose="lr", on_seed=1))


def test_images_that_one_side_alone_was_asked_about_are_told() -> None:
    def fewer(groups: Sequence[Sequence[Result]], metric: str) -> list[Judged | None]:
        first, *others = images(groups, metric)
        assert first is not None
        return [Judged(keys=first.keys[:400], right=first.right[:, :400]), *others]

    found = answer_of(study(), Question(baseline="case == 'vanilla'"), moment_of("last"), fewer)

    assert "case=registers-4: 100 images were asked of one side alone, 400 of both." in notes_of(
        found
    )


def test_a_baseline_is_named_by_settings_and_cases() -> None:
    assert ask(baseline="model.registers == 4 and lr == 1e-3").baseline == 1
    assert ask(by=["model.registers"], baseline="registers == 4").baseline == 1


def test_of_a_metric_that_is_no_percentage_equivalence_needs_a_margin() -> None:
    without = ask(metric="val/loss", baseline="case == 'vanilla'")
    given = ask(metric="val/loss", baseline="case == 'vanilla'", margin=1.0)

    assert without.contrasts[2] is not None
    assert without.contrasts[2].p_equivalence is None
    assert any("say --margin in the unit of val/loss" in note for note in notes_of(without))
    assert given.contrasts[2] is not None
    assert given.contrasts[2].verdict == "equivalent"
    assert "Of val/loss, lower is better." in notes_of(given)


def test_a_row_of_latex_that_begins_with_a_bracket_is_no_argument_of_the_line_before() -> None:
    results = [
        replace(one, axes={"blocks": [place, 2]})
        for place, one in enumerate((job("a", 0, 0, 80.0), job("b", 0, 0, 81.0)))
    ]
    lines = as_latex(shown(ask(results, by=["blocks"]), wide=True)).splitlines()

    assert lines[4:6] == [r"{}[0, 2] & 1 & 80 \\", r"{}[1, 2] & 1 & 81 \\"]


def test_rows_that_are_each_of_one_code_and_not_of_the_same_are_told() -> None:
    newer = replace(TODAY, codes=frozenset({"c2"}))
    both = [job("a", 0, 0, 80.0), job("b", 4, 0, 81.0, made=newer)]
    on = [replace(one, config={**one.config, "data": {"name": one.axes["case"]}}) for one in both]

    assert notes_of(ask(both)) == [
        "Rows do not compare in all: together they are of 2 versions of code."
    ]
    assert notes_of(ask(on)) == [], "one row of each set"
    assert not ask().apart, "where a row says so itself"


def test_what_is_counted_is_told_apart_without_a_test() -> None:
    metric = "flops/forward_macs"
    results = [
        replace(one, metrics={metric: 1e9 * (1 + int(one.at("model.registers")))})
        for one in study()
    ]
    found = ask(results, metric=metric, baseline="case == 'vanilla'")

    assert [one and str(one.verdict) for one in found.contrasts] == [
        *(None, "higher", "equivalent", "equivalent", "equivalent"),
    ]
    assert f"{metric} is counted: where a row's seeds agree no test is needed." in notes_of(found)


def test_the_spread_between_methods_that_a_row_mixes_is_not_that_of_seeds() -> None:
    pure = ask(by=["case"])
    mixed = ask(by=["model.registers"], baseline="registers == 4")

    assert pure.detectable is not None
    assert mixed.groups[0].mixes == ("case",)
    assert mixed.detectable is None, "one row of seeds is left, and none to compare it with"


def test_a_row_that_mixes_methods_has_no_verdict() -> None:
    found = ask(by=["model.registers"], baseline="registers == 4")

    assert [row["verdict"] for row in plain(found)] == ["mixed", "baseline"]
    assert plain(found)[0]["p"] is None


def test_predictions_are_asked_for_at_the_end_alone() -> None:
    last, best = (ask(baseline="case == 'vanilla'", at=at).contrasts[1] for at in ("last", "best"))

    assert last is not None
    assert last.images == 500
    assert best is not None
    assert best.images == 0


def test_equal_spending_says_whose_total_it_is() -> None:
    found = ask(at="macs")

    assert str(found.moment) == "macs=3"
    assert found.spent_least in {"case=vanilla", "case=wild", "case=alone"}
    assert notes_of(found)[:2] == [
        "val/top1 is the last value within 3 training MACs.",
        f"That is the smallest total, of {found.spent_least}.",
    ]
    by_case = {group.axes["case"]: group.mean for group in found.groups}
    assert by_case["vanilla"] == pytest.approx(80.7 / 3 + 2 * 80.1 / 3, abs=0.2)
    assert by_case["gate_sdpa"] == pytest.approx(79.25)


def test_the_best_is_labelled_as_selected() -> None:
    found = ask(at="best")

    assert plain(found)[0]["val/top1 (best) mean"] == pytest.approx(80.2333, abs=1e-3)
    assert "selected on the very set that is reported" in notes_of(found)[0]
    assert as_json(found, [])["selected_on_reported"] is True
    assert as_json(ask(), [])["selected_on_reported"] is False


def test_a_learning_rate_is_chosen_on_one_seed_and_reported_on_others() -> None:
    results = [
        job(case, 0, seed, value + 10 * (lr == 2e-3) * (1 if seed == 0 else -1), lr=lr)
        for case, (_, _, values) in CASES.items()
        for lr in (1e-3, 2e-3)
        for seed, value in enumerate(values)
    ]
    found = ask(results[1:], choose="optim.lr")  # the first one is missing: lr 1e-3 of vanilla
    text = as_text(found).splitlines()

    assert found.axes == ["case", "optim.lr"]
    assert [dict(group.axes) for group in found.groups] == [
        {"case": case, "optim.lr": 2e-3} for case in CASES if case != "alone"
    ]
    assert {group.n for group in found.groups} == {2}
    assert text[0].split()[:4] == ["case", "optim.lr", "(chosen)", "n"]
    assert "optim.lr was chosen on seed 0, of which nothing is reported." in text
    assert "case=vanilla: chosen among 1 of 2 values, as seed 0 lacks the others." in text
    assert "case=alone: there is no other seed to report." in text


def test_what_the_choosing_seed_diverged_with_is_no_value_that_it_lacks() -> None:
    def tried(case: str, lr: float, seed: int, ending: Ending | None = Ending.FINISHED) -> Result:
        return replace(job(case, 0, seed, 80.0, lr=lr), ending=ending)

    results = [
        *(tried("a", 1e-3, 0), tried("a", 2e-3, 0, Ending.DIVERGED), tried("a", 1e-3, 1)),
        *(tried("b", 1e-3, 0), tried("b", 2e-3, 0, Ending.DIVERGED), tried("b", 3e-3, 0, None)),
        *(tried("b", 1e-3, 1), tried("c", 1e-3, 0, Ending.DIVERGED), tried("c", 1e-3, 1)),
    ]
    notes = notes_of(ask(results, choose="optim.lr"))

    assert "case=a: chosen among 1 of 2 values, as seed 0 diverged with the others." in notes
    assert "case=b: chosen among 1 of 3 values, as seed 0 diverged with 1 and lacks 1." in notes
    assert "case=c: nothing could be chosen, as seed 0 diverged." in notes


@pytest.mark.parametrize("seed", [7, 0])
def test_a_choice_that_leaves_no_row_is_refused(seed: int) -> None:
    with pytest.raises(SpecError, match=f"leaves no row: nowhere has seed {seed} a value"):
        ask([job("a", 0, 0, 80.0)], choose="optim.lr", on_seed=seed)


def test_without_scipy_the_table_is_made_and_a_comparison_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "orchestrator.results.statistics", raising=False)
    monkeypatch.setitem(sys.modules, "scipy", None)

    assert ask().detectable is not None
    with pytest.raises(PackageError, match=r"needs the package scipy.*orchestrate-vit\[stats\]"):
        ask(baseline="case == 'vanilla'")
