from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.sweep.expand import Sweep

Load = Callable[..., Sweep]
Refused = Callable[..., list[str]]

HEAD = "name: a\nset: {data.name: d}\n"


def names(sweep: Sweep) -> list[str]:
    return [point.name for point in sweep.points]


def test_a_zip_is_one_axis_of_the_product(load: Load) -> None:
    sweep = load(
        f"{HEAD}grid: [{{zip: {{model.depth: [12, 24], optim.lr: [3e-3, 1e-3]}}, "
        "model.registers: [0, 4]}]"
    )

    assert names(sweep) == [
        "depth=12,lr=0.003,registers=0",
        "depth=12,lr=0.003,registers=4",
        "depth=24,lr=0.001,registers=0",
        "depth=24,lr=0.001,registers=4",
    ]
    assert sweep.points[2].axes == {
        "model.depth": 24,
        "optim.lr": 0.001,
        "model.registers": 0,
        "seed": 0,
    }


def test_a_zip_may_walk_groups(load: Load) -> None:
    gates = "model.gate: [null, {position: value}], model.registers: [4, 0]"

    plain, gated = load(f"{HEAD}grid: [{{zip: {{{gates}}}}}]").points

    assert (plain.config.model.gate, plain.config.model.registers) == (None, 4)
    assert gated.config.model.gate is not None
    assert gated.name == "gate=value,registers=0"


def test_where_keeps_the_points_at_which_it_holds_in_their_order(load: Load) -> None:
    grid = "grid: [{model.registers: [0, 4, 8], optim.lr: [1e-3, 4e-3]}]"

    sweep = load(f'{HEAD}where: "not (model.registers > 0 and optim.lr > 3e-3)"\n{grid}')

    assert names(sweep) == [
        "registers=0,lr=0.001",
        "registers=0,lr=0.004",
        "registers=4,lr=0.001",
        "registers=8,lr=0.001",
    ]


def test_where_changes_no_id(load: Load) -> None:
    grid = "grid: [{model.registers: [0, 4]}]"

    (kept,) = load(f"{HEAD}where: model.registers == 4\n{grid}").points

    assert kept == load(f"{HEAD}grid: [{{model.registers: [4]}}]").points[0]


def test_where_sees_defaults_cases_seeds_and_null_groups(load: Load) -> None:
    text = (
        f"{HEAD}seeds: [0, 1]\nwhere: seed == 0 or case == 'gated'\ngrid:\n"
        "  - cases: {plain: {}, gated: {model.gate: {bias: false}}}\n"
        "    where: \"train.epochs == 100 and model.gate.position in [null, 'sdpa']\"\n"
        "  - {model.depth: [3], where: model.gate == null and model.gate.bias == null}"
    )

    found = names(load(text))

    assert found == ["plain,seed=0", "gated,seed=0", "gated,seed=1", "depth=3,seed=0"]


def test_a_block_must_also_meet_its_own_where(load: Load) -> None:
    text = (
        f"{HEAD}where: model.registers < 8\n"
        "grid: [{model.registers: [0, 4, 8], where: model.registers > 0}, {model.registers: [2]}]"
    )

    assert names(load(text)) == ["registers=4", "registers=2"]


def test_where_may_leave_out_what_would_be_no_model(load: Load) -> None:
    text = f"{HEAD}where: model.dim % model.heads == 0\ngrid: [{{model.heads: [4, 5, 6, 7]}}]"

    assert names(load(text)) == ["heads=4", "heads=6"]


def test_a_number_is_what_the_configuration_makes_of_it(load: Load) -> None:
    grid = "grid: [{optim.warmup_epochs: [5], where: str(optim.warmup_epochs) == '5.0'}]"

    assert len(load(f"{HEAD}{grid}").points) == 1


def test_a_child_replaces_where_and_derive_and_may_drop_them(load: Load, folder: Path) -> None:
    (folder / "b.yaml").write_text(
        "where: model.registers == 4\nderive: {model.depth: '3'}\ngrid: [{model.registers: [0, 4]}]"
    )

    inherited = load(f"{HEAD}extends: b.yaml")
    dropped = load(f"{HEAD}extends: b.yaml\nwhere: null\nderive: {{}}")

    assert [point.config.model.depth for point in inherited.points] == [3]
    assert [point.config.model.depth for point in dropped.points] == [12, 12]


def test_what_is_derived_comes_last_and_sees_the_command_line(load: Load) -> None:
    text = (
        f"{HEAD}derive: {{optim.warmup_epochs: train.epochs // 20, train.data_seed: seed + 100}}\n"
        "grid: [{train.epochs: [100, 400]}]\nseeds: [0, 1]"
    )

    written = [(p.config.optim.warmup_epochs, p.config.train.data_seed) for p in load(text).points]
    overridden = [p.config.optim.warmup_epochs for p in load(text, "train.epochs=40").points]

    assert written == [(5.0, 100), (5.0, 101), (20.0, 100), (20.0, 101)]
    assert overridden == [2.0, 2.0]


def test_a_derivation_reads_those_above_it_and_what_it_replaces(load: Load) -> None:
    text = (
        f"{HEAD}derive:\n  train.batch_size: model.depth * 64\n"
        "  optim: {lr: optim.lr * train.batch_size / 256}\n"
        "grid: [{model.depth: [4, 8], optim.lr: [1e-3]}]"
    )

    assert names(load(text)) == ["depth=4,lr=0.001", "depth=8,lr=0.002"]


def test_nothing_is_derived_for_a_gate_that_is_not_there(load: Load) -> None:
    text = (
        f"{HEAD}derive: {{model.gate.init_std: 'round(model.dim ** -0.5, 4)'}}\n"
        "grid: [{model.gate: [null, {}]}]"
    )

    plain, gated = load(text).points

    assert plain.config.model.gate is None
    assert gated.config.model.gate is not None
    assert gated.config.model.gate.init_std == 0.051


def test_where_sees_what_is_derived(load: Load) -> None:
    text = (
        f"{HEAD}derive: {{model.depth: model.registers + 1}}\nwhere: model.depth > 1\n"
        "grid: [{model.registers: [0, 4]}]"
    )

    assert names(load(text)) == ["registers=4"]


def test_a_derived_value_makes_the_job_that_it_would_make_written(load: Load) -> None:
    (derived,) = load(f"{HEAD}derive: {{optim.warmup_epochs: '2 + 1'}}").points
    (written,) = load("name: a\nset: {data.name: d, optim.warmup_epochs: 3}").points

    assert derived.id == written.id


@pytest.mark.parametrize("seeds", [None, [3]])
def test_no_point_left_is_told_with_how_many_there_were(
    refused: Refused, seeds: list[int] | None
) -> None:
    text = (
        f"{HEAD}grid:\n  - model.depth: [1, 2, 3]\n    optim.lr: [1e-3, 2e-3]\n"
        "where: model.depth > 3\nseeds: [0, 1]"
    )

    assert refused(text, seeds=seeds) == [
        f"a.yaml:6: where left 0 of {6 if seeds else 12} points; it holds at none of them"
    ]


def test_a_block_that_is_left_without_points_is_told_though_others_have_some(
    refused: Refused,
) -> None:
    text = f"{HEAD}grid:\n  - {{}}\n  - model.depth: [1, 2]\n    where: model.depth > 2"

    assert refused(text) == ["a.yaml:6: grid[1].where left 0 of 2 points; it holds at none of them"]


def test_an_override_that_a_derivation_would_replace_is_refused_and_one_that_it_reads_is_not(
    load: Load, refused: Refused
) -> None:
    text = f"{HEAD}derive:\n  optim.lr: optim.lr * 2\n  optim.warmup_epochs: train.epochs // 20"

    (line,) = refused(text, "optim.warmup_epochs=1")
    assert line.startswith("--set optim.warmup_epochs=1: optim.warmup_epochs has no effect here")
    assert line.endswith("it is derived at a.yaml:5")
    assert load(text, "optim.lr=1e-3").points[0].config.optim.lr == 0.002
