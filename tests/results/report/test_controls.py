from support.built_study import built_study

from orchestrator.results.report.controls import controls, found, in_short
from orchestrator.results.report.page import page, pictures_of
from orchestrator.results.report.study import Control

POSITIVE = {
    "artifacts/positive": 1.0,
    "artifacts/positive_blocks": 3.0,
    "artifacts/first_block": 14.0,
    "norms/worst_outlier_share": 0.0237,
}
NEGATIVE = {"artifacts/positive": 0.0, "artifacts/positive_blocks": 0.0}
RIGHT = [
    Control(name="l", model="dinov2_l", expect="artifacts", state="DONE", metrics=POSITIVE),
    Control(name="s", model="dinov2_s", expect="none", state="DONE", metrics=NEGATIVE),
    Control(name="d", model="deit3_s", expect="contested", state="DONE", metrics=POSITIVE),
]


def test_what_is_found_is_told_in_words() -> None:
    undecided = Control(name="u", model="u", state="DONE", metrics={"norms/max": 1.0})
    failed = Control(name="f", model="f", state="FAILED")

    assert [found(one) for one in (*RIGHT, undecided, failed)] == [
        "artifacts in 3 blocks, from block 14 on",
        "none",
        "artifacts in 3 blocks, from block 14 on",
        "not to be told",
        "not measured (FAILED)",
    ]


def test_a_rule_that_is_wrong_about_a_known_model_is_not_to_be_trusted() -> None:
    wrong = Control(name="w", model="w", expect="none", state="DONE", metrics=POSITIVE)
    missing = Control(name="m", model="m", expect="none", state="PLANNED")

    assert in_short(RIGHT) == "Of 2 models with a known answer the rule agrees with 2."
    assert in_short([*RIGHT, wrong, missing]) == (
        "Of 4 models with a known answer the rule agrees with 2. It is wrong about w: what it says "
        "of the arms is not to be trusted. Nothing can be said yet of m."
    )


def test_the_page_has_controls_before_figures_and_only_where_there_are_some() -> None:
    study = built_study(controls=RIGHT)

    text = page(study, pictures_of(study))

    assert text.index('id="controls"') < text.index('id="norms"')
    for words in ("2.37 %", "<code>dinov2_l</code>", "contested", "as expected"):
        assert words in text
    without = built_study()
    assert controls(without) == []
    assert "Controls" not in page(without, pictures_of(without))
