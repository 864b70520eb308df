from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.config import RunConfig
from orchestrator.sweep.expand import Sweep

Load = Callable[..., Sweep]
Refused = Callable[..., list[str]]

HEAD = "name: a\nset: {data.name: d}\n"


def test_a_file_without_a_word_is_told(refused: Refused) -> None:
    assert refused("") == ["a.yaml: is empty; a sweep file starts with name: ..."]


@pytest.mark.parametrize("name", ["a/b", "../a", ".a", "", "a b", "a" * 65, '"a\\n"', "ä"])
def test_a_name_is_safe_as_a_file_name(refused: Refused, name: str) -> None:
    (line,) = refused(f"name: '{name}'" if '"' not in name else f"name: {name}")

    assert line.startswith("a.yaml:1: name is ")


def test_every_mistake_is_told_at_once(refused: Refused) -> None:
    lines = refused("name: a/b\nset: {lr: 3}\nsedes: [1]\nseeds: [x]", "optim.lrr=3")

    places = (
        "a.yaml:2: lr",
        "--set optim.lrr=3: ",
        "a.yaml:1: name",
        "a.yaml:4: seeds",
        "a.yaml:3: ",
    )
    assert all(line.startswith(place) for line, place in zip(lines, places, strict=True))


def test_many_mistakes_are_counted_after_the_first_twenty(refused: Refused) -> None:
    keys = "".join(f"  model.unknown{number}: 1\n" for number in range(30))

    lines = refused(f"name: a\nset:\n{keys}")

    assert len(lines) == 21
    assert lines[-1] == "... and 10 more"


def test_a_group_that_does_not_fit_names_its_settings_and_the_point(refused: Refused) -> None:
    text = (
        "name: a\nset:\n  data.name: d\n  model.patch_size: 7\ngrid:\n  - model.img_size: [28, 30]"
    )

    (line,) = refused(text)

    assert line == (
        "a.yaml:6: model: img_size 30 is not a multiple of patch_size 7; model.patch_size at "
        "a.yaml:4, model.img_size at a.yaml:6 (point model.img_size=30)"
    )


def test_a_default_that_does_not_fit_is_told_at_what_was_written(refused: Refused) -> None:
    assert refused("name: a\nset: {data.name: d, train: {batch_size: 300}}") == [
        "a.yaml:2: train.batch_size 300 is not a multiple of train.chunk 256"
    ]


@pytest.mark.parametrize(
    ("epochs", "fault"),
    [
        ("[5, 11]", "keep_epochs has 11, but a job of train.epochs 10 has only epochs 1 to 10"),
        ("[0]", "placement.keep_epochs[0] is 0; it must be at least 1"),
        ("5", "placement.keep_epochs is 5; it must be a list"),
    ],
)
def test_epochs_that_a_job_does_not_have_cannot_be_kept(
    refused: Refused, epochs: str, fault: str
) -> None:
    head = "name: a\nset: {data.name: d, train.epochs: 10}\n"

    (line,) = refused(f"{head}placement: {{keep_epochs: {epochs}}}")

    assert line.startswith("a.yaml:3: ")
    assert fault in line


def test_a_block_may_keep_other_epochs_than_the_sweep_and_no_id_changes(load: Load) -> None:
    grid = "grid:\n  - {}\n  - model.registers: [4]\n    placement: {keep_epochs: []}"
    plain, keeping = load(f"{HEAD}{grid}"), load(f"{HEAD}placement: {{keep_epochs: [5]}}\n{grid}")

    assert [point.placement.keep_epochs for point in keeping.points] == [(5,), ()]
    assert [point.id for point in keeping.points] == [point.id for point in plain.points]


def test_a_placement_that_does_not_fit_names_the_point(refused: Refused) -> None:
    text = f"{HEAD}grid:\n  - train.chunk: [64, 128]\n    placement: {{ranks: 4}}"

    (line,) = refused(text)

    assert line.startswith("a.yaml:5: placement.ranks is 4, but a step of 256 images has only 2")
    assert line.endswith("(point chunk=128)")


def test_one_rank_has_nobody_to_share_a_model_with(refused: Refused) -> None:
    (line,) = refused(f"{HEAD}placement: {{parallel: fsdp2}}")

    assert line.startswith("a.yaml:3: placement.parallel is fsdp2, but placement.ranks is 1")


def test_extends_merges_set_and_replaces_the_rest(load: Load, folder: Path) -> None:
    (folder / "base").mkdir()
    (folder / "base/b.yaml").write_text(
        "extends: ../c.yaml\nname: b\nquestion: why\nseeds: [1]\nplacement: {loader_workers: 2}\n"
        "set: {model: {gate: {position: value}}, optim.lr: 2e-3}"
    )
    (folder / "c.yaml").write_text(
        "set: {data.name: c, optim.lr: 5e-3, model.gate: {bias: false}}\nstudy: s\nseeds: [7, 8]"
    )

    sweep = load("name: a\nextends: base/b.yaml\nset: {data.name: d}\nplacement: {ranks: 1}")

    (point,) = sweep.points
    assert point.config == RunConfig.from_plain(
        {
            "data": {"name": "d"},
            "optim": {"lr": 0.002},
            "model": {"gate": {"position": "value", "bias": False}},
            "seed": 1,
        }
    )
    assert (sweep.name, sweep.study, sweep.question) == ("a", "s", "why")
    assert point.placement.loader_workers == 0
    assert [source.path for source in sweep.sources] == ["a.yaml", "base/b.yaml", "base/../c.yaml"]
    assert sweep.sources[2].text.startswith("set: {data.name: c")


def test_of_several_that_are_extended_a_later_one_wins_and_what_all_extend_stands_below_them(
    load: Load, folder: Path
) -> None:
    (folder / "base.yaml").write_text("set: {data.name: d, optim.lr: 1e-3}\nquestion: base")
    (folder / "b.yaml").write_text("extends: base.yaml\nset: {optim.lr: 2e-3, train.epochs: 7}")
    (folder / "c.yaml").write_text("extends: base.yaml\nset: {train.epochs: 9}\nseeds: [4]")

    sweep = load("name: a\nextends: [b.yaml, c.yaml]")

    (point,) = sweep.points
    assert isinstance(point.config, RunConfig)
    assert (point.config.optim.lr, point.config.train.epochs) == (0.002, 9)
    assert (sweep.question, point.config.seed) == ("base", 4)
    assert [s.path for s in sweep.sources] == ["a.yaml", "c.yaml", "b.yaml", "base.yaml"]


def test_a_grid_may_come_from_what_is_extended(load: Load, folder: Path) -> None:
    (folder / "b.yaml").write_text("name: b\ngrid: [{model.registers: [0, 4]}]")

    sweep = load(f"{HEAD}extends: b.yaml")

    assert [point.name for point in sweep.points] == ["registers=0", "registers=4"]


def test_a_name_is_not_inherited(refused: Refused, folder: Path) -> None:
    (folder / "b.yaml").write_text(HEAD)

    assert refused("extends: b.yaml") == ["a.yaml: name is missing; a sweep starts with name: ..."]


def test_a_fault_stands_at_the_line_of_the_parent_that_made_it(
    refused: Refused, folder: Path
) -> None:
    (folder / "b.yaml").write_text("name: b\nset:\n  optim.lr: -1\n  model.heads: 5")

    assert refused(f"{HEAD}extends: b.yaml") == [
        "b.yaml:4: model: dim 384 is not a multiple of heads 5",
        "b.yaml:3: optim.lr is -1; it must be above 0",
    ]


def test_a_fault_of_a_parent_is_told_even_where_the_child_replaces_it(
    refused: Refused, folder: Path
) -> None:
    (folder / "b.yaml").write_text("seeds: 3")

    assert refused(f"{HEAD}extends: b.yaml\nseeds: [0]") == [
        "b.yaml:1: seeds is 3; it must be a list"
    ]


def test_a_missing_parent_is_named_with_the_line_that_wants_it(refused: Refused) -> None:
    assert refused(f"{HEAD}extends: b.yaml") == [
        "b.yaml: cannot be read: No such file or directory (extended at a.yaml:3)"
    ]


def test_a_circle_is_named(refused: Refused, folder: Path) -> None:
    (folder / "b.yaml").write_text("name: b\nextends: ./c.yaml")
    (folder / "c.yaml").write_text("extends: b.yaml")

    assert refused(f"{HEAD}extends: b.yaml") == [
        "c.yaml:1: extends goes round in a circle: b.yaml -> c.yaml -> b.yaml"
    ]


def test_a_fault_of_one_that_a_list_extends_stands_at_its_place(refused: Refused) -> None:
    assert refused(f"{HEAD}extends:\n- c.yaml\n- b.yaml") == [
        "b.yaml: cannot be read: No such file or directory (extended at a.yaml:5)"
    ]
    assert refused(f"{HEAD}extends:\n- a.yaml\n- 3") == [
        "a.yaml:4: extends goes round in a circle: a.yaml -> a.yaml"
    ]


def test_a_sweep_may_not_extend_itself(refused: Refused) -> None:
    assert refused(f"{HEAD}extends: a.yaml") == [
        "a.yaml:3: extends goes round in a circle: a.yaml -> a.yaml"
    ]


def test_the_command_line_beats_all(load: Load) -> None:
    text = f"{HEAD}grid: [{{optim.lr: [1e-3, 2e-3]}}, {{cases: {{x: {{optim.lr: 3e-3}}}}}}]"

    sweep = load(text, "optim.lr=1", "optim.lr=1e-4", "seed=5", seeds=[1, 2])

    assert [(point.config.optim.lr, point.config.seed) for point in sweep.points] == [(1e-4, 5)]
    assert sweep.overrides == ("optim.lr=1", "optim.lr=1e-4", "seed=5")
    assert sweep.points[0].axes == {"optim.lr": 1e-4, "seed": 5}


def test_seeds_of_the_command_line_replace_all(load: Load) -> None:
    sweep = load(f"{HEAD}seeds: [5]\ngrid: [{{}}, {{seeds: [6]}}]", seeds=[1, 2])

    assert [point.config.seed for point in sweep.points] == [1, 2]


def test_an_override_may_be_a_mapping_or_null(load: Load) -> None:
    on = load(HEAD, "model.gate={position: value}", "train.data_seed=null")
    off = load(f"{HEAD}grid: [{{model.gate: [{{}}]}}]", "model.gate=null")

    assert on.points[0].config.model.gate is not None
    assert on.points[0].config.model.gate.position == "value"
    assert off.points[0].config.model.gate is None
    assert off.points[0].axes == {"model.gate": None, "seed": 0}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optim.lr", "--set optim.lr: is not of the form key=value, such as optim.lr=1e-3"),
        ("optim.lr=", "--set optim.lr=: is not of the form key=value, such as optim.lr=1e-3"),
        ("optim.lr=[1", "--set optim.lr=[1: expected ',' or ']', but got '<stream end>'"),
        ("optim.lr=x", '--set optim.lr=x: optim.lr is "x"; it must be a number'),
        (
            "optim.lrr=1",
            "--set optim.lrr=1: optim.lrr is not a configuration key; nearest: optim.lr",
        ),
        (
            "model.heads=5",
            "--set model.heads=5: model: dim 384 is not a multiple of heads 5",
        ),
    ],
)
def test_a_wrong_override_is_named(refused: Refused, override: str, message: str) -> None:
    assert refused(HEAD, override) == [message]


def test_wrong_seeds_of_the_command_line_are_named(refused: Refused) -> None:
    assert refused(HEAD, seeds=[]) == ["--seeds: seeds is []; it must not be empty"]
    assert refused(HEAD, seeds=[1, 1]) == ["--seeds 1,1: seeds: 1 stands more than once"]
    assert refused(HEAD, seeds=[-1]) == ["--seeds -1: seeds[0] is -1; it must be at least 0"]


def test_a_gate_is_cleared_by_null_and_starts_anew_from_defaults(load: Load) -> None:
    text = (
        "name: a\nset: {data.name: d, model.gate: {position: value, bias: false}}\n"
        "grid:\n  - model.gate: [{init_std: 0.1}, null]\n"
    )
    (kept, cleared) = load(text).points
    (anew,) = load("name: a\nset: {data.name: d, model.gate: null}", "model.gate.bias=false").points

    assert kept.config.model.gate is not None
    assert (kept.config.model.gate.position, kept.config.model.gate.init_std) == ("value", 0.1)
    assert cleared.config.model.gate is None
    assert anew.config.model.gate is not None
    assert anew.config.model.gate.position == "sdpa"
