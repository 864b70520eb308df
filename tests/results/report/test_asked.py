from pathlib import Path
from typing import Any

from orchestrator.results.report.asked import asked_of, head_of
from orchestrator.results.report.tables import paragraphs

REPOSITORY = Path(__file__).parents[3]
SMALL = ("exp2_registers_small.yaml", "exp2_registers.yaml", "base/gated_vit.yaml")


def revision(**changes: Any) -> dict[str, Any]:
    folder = REPOSITORY / "sweeps"
    known = {
        "name": "exp2_registers_small",
        "question": "Which K removes high-norm artifacts, and at what cost?",
        "sources": [
            {"path": f"/home/ada/sweeps/{name}", "text": (folder / name).read_text()}
            for name in SMALL
        ],
        "overrides": ["train.epochs=8"],
        "jobs": [
            {"axes": {"model.registers": k, "seed": seed}, "form": {"reduced": {}}}
            for k in (2, 4)
            for seed in (0, 1)
        ],
    }
    return {**known, **changes}


def test_a_sweep_is_told_by_its_own_head_and_by_that_of_the_file_whose_question_it_asks() -> None:
    asked = asked_of(revision(), {}, None)

    assert [name for name, _ in asked.comments] == [Path(name).name for name in SMALL[:2]]
    told = [one for _, text in asked.comments for one in paragraphs(text)]
    assert any(one.startswith("Primary outcome: val/top1 after the last epoch") for one in told)
    assert any(one.startswith("Expectation: no difference beyond half a point;") for one in told)
    assert not any("orchestrate launch" in one for one in told)  # commands stand elsewhere


def test_the_command_launches_the_same_points_again() -> None:
    asked = asked_of(revision(), {}, None)

    assert " ".join(asked.command) == (
        "orchestrate launch sweeps/exp2_registers_small.yaml --set train.epochs=8 --seeds 0,1"
    )


def test_evaluations_are_launched_with_all_seeds_of_their_parents() -> None:
    jobs = [
        {"axes": {"case": case, "seed": seed}, "form": {"reduced": {"of": "ab"}}}
        for case, seeds in (("a", (0, 3)), ("b", (0,)))
        for seed in seeds
    ]

    assert asked_of(revision(jobs=jobs), {}, None).command[-2:] == ["--seeds", "0,3"]


def test_data_is_prepared_as_the_sweep_itself_says() -> None:
    assert asked_of(revision(), {}, None).prepared == ["orchestrate data prepare digits"]


def test_seeds_in_which_points_differ_are_left_to_the_file() -> None:
    jobs = [{"axes": {"model.registers": k, "seed": k}, "form": {}} for k in (2, 4)]

    assert "--seeds" not in asked_of(revision(jobs=jobs), {}, None).command


def test_a_sweep_with_registers_or_gates_is_one_that_is_to_remove_something() -> None:
    plain = {"axes": {}, "form": {"reduced": {"optim.lr": 1.0}}}
    gated = {"axes": {}, "form": {"reduced": {"model.gate.position": "sdpa"}}}

    assert not asked_of(revision(jobs=[plain]), {}, None).removes
    assert asked_of(revision(jobs=[plain, gated]), {}, None).removes


def test_the_head_of_a_file_ends_where_its_settings_begin() -> None:
    assert head_of("# one\n#\n#   two\nname: x\n# three\n") == "one\n\n  two"
    assert head_of("name: x\n# one\n") == ""
