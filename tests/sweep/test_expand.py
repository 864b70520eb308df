from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.sweep.expand import MOST_POINTS, Sweep

Load = Callable[..., Sweep]
Refused = Callable[..., list[str]]

HEAD = "name: a\nset: {data.name: d}\n"


def ids(sweep: Sweep) -> list[str]:
    return [point.id for point in sweep.points]


def names(sweep: Sweep) -> list[str]:
    return [point.name for point in sweep.points]


def test_a_block_is_the_product_of_its_axes_the_last_one_fastest(load: Load) -> None:
    sweep = load(f"{HEAD}grid: [{{model.registers: [0, 4], optim.lr: [1e-3, 1e-2]}}]")

    assert [(p.config.model.registers, p.config.optim.lr) for p in sweep.points] == [
        (0, 0.001),
        (0, 0.01),
        (4, 0.001),
        (4, 0.01),
    ]


def test_cases_are_an_axis_at_their_place_in_the_file(load: Load) -> None:
    cases = "cases: {tiny: {model: {dim: 192, heads: 3}}, small: {model.dim: 384}}"

    first = load(f"{HEAD}grid: [{{{cases}, model.depth: [6, 12]}}]")
    last = load(f"{HEAD}grid: [{{model.depth: [6, 12], {cases}}}]")

    assert names(first) == ["tiny,depth=6", "tiny,depth=12", "small,depth=6", "small,depth=12"]
    assert names(last) == ["depth=6,tiny", "depth=6,small", "depth=12,tiny", "depth=12,small"]
    assert first.points[0].axes == {"case": "tiny", "model.depth": 6, "seed": 0}
    assert first.points[0].config.model.heads == 3


def test_a_sweep_without_a_grid_is_one_point(load: Load) -> None:
    assert names(load(HEAD)) == ["base"]


def test_a_union_of_products_holds_a_job_once_where_it_came_first(load: Load) -> None:
    sweep = load(
        f"{HEAD}grid:\n  - model.registers: [0, 4]\n    placement: {{loader_workers: 3}}\n"
        "  - optim.lr: [1e-2, 1e-3]\n"
    )

    assert names(sweep) == ["registers=0", "registers=4", "lr=0.01"]
    assert sweep.points[0].placement.loader_workers == 3


def test_a_blocks_seeds_stand_in_place_of_the_sweeps(load: Load) -> None:
    sweep = load(f"{HEAD}seeds: [0, 1]\ngrid: [{{}}, {{model.registers: [4], seeds: [7]}}]")

    assert names(sweep) == ["seed=0", "seed=1", "registers=4,seed=7"]


def test_a_blocks_placement_is_laid_over_the_sweeps(load: Load) -> None:
    sweep = load(
        f"{HEAD}placement: {{loader_workers: 3, threads_per_rank: 2}}\n"
        "grid: [{placement: {threads_per_rank: 4}}]"
    )

    placement = sweep.points[0].placement
    assert (placement.loader_workers, placement.threads_per_rank) == (3, 4)


def test_placement_is_no_part_of_an_id(load: Load) -> None:
    assert ids(load(HEAD)) == ids(load(f"{HEAD}placement: {{loader_workers: 3, device: cpu}}"))


@pytest.mark.parametrize(
    "other",
    [
        "# a note\nset: {optim.lr: 0.001, data.name: d}\nname: b",
        "name: a\nset: {data: {name: d}, optim: {lr: 1e-3}}",
        "name: a\nset: {data.name: d}",
        "name: a\nset: {data.name: d, model.mlp_ratio: 4, optim.clip_norm: 1, optim.lr: 1.0E-03}",
        "name: a\nset: {data.name: d, model: {}, model.gate: null, train.loss: 'ce'}\nseeds: [0]",
        "name: a\nset: {data.name: d, train.label_smoothing: -0.0}",
        "name: a\nset: {data.name: e}\ngrid: [{data.name: [d]}]",
    ],
)
def test_an_id_does_not_depend_on_how_the_same_is_written(load: Load, other: str) -> None:
    first = ids(load("name: a\nset: {data.name: d, optim.lr: 1e-3}"))

    assert ids(load(other)) == first


def test_adding_a_value_adds_exactly_its_points(load: Load) -> None:
    few = ids(load(f"{HEAD}grid: [{{model.registers: [0, 4], optim.lr: [1e-3, 1e-2]}}]"))
    more = ids(load(f"{HEAD}grid: [{{model.registers: [0, 2, 4], optim.lr: [1e-3, 1e-2]}}]"))

    assert set(few) < set(more)
    assert len(more) == len(few) + 2


def test_a_point_keeps_its_id_in_another_file(load: Load, folder: Path) -> None:
    here = ids(load(f"{HEAD}grid: [{{model.registers: [0, 4]}}]"))
    (folder / "b.yaml").write_text("set: {data.name: d, model.registers: 4}")

    there = ids(load("name: other\nstudy: x\nextends: b.yaml"))

    assert there == here[1:]


def test_a_wrong_value_is_told_once_and_not_for_every_point(refused: Refused) -> None:
    text = f"{HEAD}grid: [{{model.depth: [1, 2, 3], optim.lr: [1, -1]}}]"

    assert refused(text) == ["a.yaml:3: optim.lr is -1; it must be above 0"]


def test_a_grid_beyond_all_bounds_is_refused_before_it_is_built(refused: Refused) -> None:
    values = ", ".join(map(str, range(100)))
    axes = ", ".join(f"model.{key}: [{values}]" for key in ("dim", "depth", "heads", "registers"))

    assert refused(f"{HEAD}grid: [{{{axes}}}]") == [
        f"a.yaml: the grid has 100000000 points; a sweep has at most {MOST_POINTS}"
    ]


def test_ten_thousand_points_have_ten_thousand_ids_and_names(load: Load) -> None:
    registers, rates = list(range(100)), [f"{n}e-4" for n in range(1, 21)]

    sweep = load(
        f"{HEAD}seeds: [0, 1, 2, 3, 4]\n"
        f"grid: [{{model.registers: {registers}, optim.lr: [{', '.join(rates)}]}}]"
    )

    assert len(set(ids(sweep))) == len(set(names(sweep))) == 10_000
