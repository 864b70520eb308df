from dataclasses import replace

from support.built_study import built_run, built_runs, built_study

from orchestrator.results.report.remedy import remedy_table
from orchestrator.results.report.study import Run


def without(*arms: str) -> list[Run]:
    return [run for run in built_runs() if run.key not in arms]


def test_gates_stand_beside_four_registers_in_a_family_of_tests_of_their_own() -> None:
    heading, sentence, table = remedy_table(built_study())

    assert heading == "<h3>Gates beside registers=4</h3>"
    assert "registers=4 reaches 80.2 % top-1; beside it, lower: gate-sdpa" in sentence
    assert "difference to registers=4 (points)" in table
    assert "gate-sdpa" in table
    assert "vanilla" not in table
    assert "p (Holm)" in table


def test_nothing_is_told_where_one_of_the_two_sides_was_not_measured() -> None:
    assert not [*remedy_table(built_study(without("registers=4")))]
    assert not [*remedy_table(built_study(without("gate-sdpa")))]


def test_a_gate_of_another_length_is_not_compared_with_registers() -> None:
    longer = [
        replace(run, scale={"train.epochs": 100}) if run.key == "gate-sdpa" else run
        for run in [*built_runs(), built_run("gate-sdpa", 3)]
    ]

    assert not [*remedy_table(built_study(longer))]


def test_without_a_plain_arm_gates_on_other_data_are_not_compared_with_registers() -> None:
    runs = [
        replace(run, scale={"data.name": run.key}) for run in built_runs() if run.key != "vanilla"
    ]

    assert not [*remedy_table(built_study(runs))]
