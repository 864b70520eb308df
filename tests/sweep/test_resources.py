from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.sweep.expand import Sweep

Load = Callable[..., Sweep]
Refused = Callable[..., list[str]]

HEAD = "name: a\nset: {data.name: d}\n"


def test_a_blocks_resources_are_laid_over_the_sweeps(load: Load) -> None:
    sweep = load(
        f"{HEAD}resources: {{time: 12h, partition: gpu, cpus_per_gpu: 8}}\n"
        "grid:\n  - {}\n  - model.registers: [4]\n"
        "    resources: {time: 4h, cpus_per_gpu: null, cpus_per_rank: 2}"
    )

    plain, varied = (point.resources for point in sweep.points)
    assert (plain.time, plain.partition, plain.cpus_per_gpu) == ("12h", "gpu", 8)
    assert (varied.time, varied.partition, varied.cpus_per_rank) == ("4h", "gpu", 2)


def test_resources_are_no_part_of_an_id(load: Load) -> None:
    (plain,), (asking,) = load(HEAD).points, load(f"{HEAD}resources: {{time: 1h}}").points

    assert plain.id == asking.id


def test_a_job_that_comes_twice_keeps_the_resources_it_had_first(load: Load) -> None:
    (point,) = load(
        f"{HEAD}grid: [{{resources: {{time: 1h}}}}, {{resources: {{time: 2h}}}}]"
    ).points

    assert point.resources.time == "1h"


def test_resources_replace_those_of_what_is_extended(load: Load, folder: Path) -> None:
    (folder / "b.yaml").write_text("resources: {time: 1h, partition: gpu}")

    (inherited,) = load(f"{HEAD}extends: b.yaml").points
    (replaced,) = load(f"{HEAD}extends: b.yaml\nresources: {{time: 2h}}").points

    assert (inherited.resources.time, inherited.resources.partition) == ("1h", "gpu")
    assert (replaced.resources.time, replaced.resources.partition) == ("2h", None)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("resources: 4", "a.yaml:3: resources is 4; it must be a mapping"),
        (
            "resources: {gpu_per_node: 4}",
            "a.yaml:3: gpu_per_node is not a key here; nearest: gpus_per_node",
        ),
        ("resources:\n  nodes: 0", "a.yaml:4: resources.nodes is 0; it must be at least 1"),
        ("resources: {time: 90}", "a.yaml:3: resources.time: 90 has no unit; write one, as in 90m"),
        ("resources: {time: 4 hours}", 'a.yaml:3: resources.time: "4 hours" is no duration; write'),
        (
            "resources: {mem_gb_per_node: 64G}",
            'a.yaml:3: resources.mem_gb_per_node is "64G"; it must be a number',
        ),
        (
            "resources: {cpus_per_rank: 1, cpus_per_gpu: 2}",
            "a.yaml:3: resources: cpus_per_rank 1 and cpus_per_gpu 2 say the same thing",
        ),
        (
            "resources: {cpus_per_rank: 1}\ngrid:\n  - resources: {cpus_per_gpu: 2}",
            "a.yaml:5: resources: cpus_per_rank 1 and cpus_per_gpu 2 say the same thing",
        ),
        (
            "grid:\n  - resources: {tme: 4h}",
            "a.yaml:4: tme is not a key here; nearest: time",
        ),
        (
            "resources: {nodes: 2}",
            "a.yaml:3: resources.nodes is 2, but placement.ranks is 1",
        ),
        (
            "placement: {device: cpu}\ngrid:\n  - resources: {gpus_per_node: 1}",
            "a.yaml:5: resources.gpus_per_node is 1, but placement.device is cpu",
        ),
    ],
)
def test_a_mistake_is_one_line_with_its_place(refused: Refused, written: str, message: str) -> None:
    (line,) = refused(f"{HEAD}{written}")

    assert line.startswith(message)


def test_resources_of_a_parent_that_do_not_fit_are_told_at_its_line(
    refused: Refused, folder: Path
) -> None:
    (folder / "b.yaml").write_text("name: b\nresources: {nodes: 3}\nplacement: {ranks: 3}")

    (line,) = refused(f"{HEAD}extends: b.yaml\nplacement: {{ranks: 1}}")

    assert line.startswith("b.yaml:2: resources.nodes is 3, but placement.ranks is 1")
    assert line.endswith("(point base)")
