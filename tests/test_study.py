"""The study's sweeps ask for what the study needs, and for nothing twice."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
from fakes.slurm import FakeSlurm, profile

from orchestrator.cli.plan_page import show_plan
from orchestrator.config import AnalyzeConfig, RunConfig
from orchestrator.controller.hours import Total
from orchestrator.controller.plan import plan
from orchestrator.controller.planned import Plan
from orchestrator.errors import SpecError
from orchestrator.executors import EXECUTORS
from orchestrator.sweep.cost import arms_of
from orchestrator.sweep.expand import Point, Sweep
from orchestrator.sweep.load import load_sweep

SWEEPS = Path(__file__).parents[1] / "sweeps"
TRAINING = ("exp1_vanilla", "exp2_registers", "exp3_gated")
LARGE = ("imagenet1k_vanilla", "imagenet1k_registers", "imagenet1k_gated")
RATES = {1e-3, 3e-3, 4e-3, 5e-3}


def load(name: str, **options: list[int]) -> Sweep:
    return load_sweep(SWEEPS / f"{name}.yaml", executors=EXECUTORS, **options)


def trained(point: Point) -> RunConfig:
    assert isinstance(point.config, RunConfig)
    return point.config


def arm(point: Point) -> str:
    """Everything but the seed."""
    return trained(point).model_copy(update={"seed": 0}).model_dump_json()


def test_twenty_points_are_trained_by_three_seeds_and_three_of_them_by_five() -> None:
    points = [point for name in TRAINING for point in load(name).points]
    seeds = Counter(arm(point) for point in points)

    assert [len(load(name).points) for name in TRAINING] == [17, 26, 23]
    assert len({point.id for point in points}) == len(points) == 66
    assert Counter(seeds.values()) == {3: 17, 5: 3}
    assert {trained(point).train.epochs for point in points} == {800}
    assert {trained(point).probe.every_epochs for point in points} == {10}


def test_vanilla_registers_and_the_gate_are_trained_at_the_same_rates() -> None:
    def rates(name: str, label: str) -> set[float]:
        return {
            trained(point).optim.lr for point in load(name).points if point.name.startswith(label)
        }

    assert rates("exp1_vanilla", "vanilla,") == RATES
    assert rates("exp2_registers", "registers=4,") == RATES
    assert rates("exp3_gated", "gate-sdpa,") == RATES


def test_the_controls_are_models_whose_answer_is_known_and_the_one_that_is_contested() -> None:
    points = load("exp0_controls").points

    told = {
        (point.expect, point.config.timm)
        for point in points
        if isinstance(point.config, AnalyzeConfig)
    }
    assert told == {
        ("artifacts", "deit3_base_patch16_224.fb_in22k_ft_in1k"),
        ("artifacts", "vit_large_patch14_dinov2.lvd142m"),
        ("none", "vit_small_patch14_dinov2.lvd142m"),
        ("none", "vit_large_patch14_reg4_dinov2.lvd142m"),
        ("contested", "deit3_small_patch16_224.fb_in1k"),
    }
    assert all(timm.is_model_pretrained(name) for _, name in told)
    assert {point.config.data.name for point in points} == {"imagenet100"}


def test_one_seed_is_a_flag_away() -> None:
    assert sum(len(load(name, seeds=[0]).points) for name in TRAINING) == 20


def test_every_job_of_the_three_is_evaluated_on_both_shifted_sets() -> None:
    parents = {point.id for name in TRAINING for point in load(name).points}
    children = load("exp4_robustness").points

    assert len({point.id for point in children}) == len(children) == 2 * len(parents) == 132
    assert {child.config.of for child in children} == parents


def test_each_experiment_opens_with_its_outcome_expectation_cost_and_command() -> None:
    for name in ("exp0_controls", *TRAINING, "exp4_robustness", *LARGE):
        text = (SWEEPS / f"{name}.yaml").read_text()
        head = text[: text.index("\nname:")]
        for part in ("Primary outcome: ", "Expectation: ", "Cost: ", f"launch sweeps/{name}.yaml"):
            assert part in head, (name, part)
        assert load(name).study == ("gated-vit-1k" if name in LARGE else "gated-vit")


def test_the_small_study_has_the_same_arms_two_seeds_each_and_four_of_those_that_count() -> None:
    def arms(suffix: str) -> list[list[str]]:
        return [
            list(dict.fromkeys(p.name.rpartition(",seed=")[0] for p in load(name + suffix).points))
            for name in TRAINING
        ]

    points = [point for name in TRAINING for point in load(f"{name}_small").points]
    seeds = Counter(arm(point) for point in points)

    assert arms("_small") == arms("")
    assert Counter(seeds.values()) == {2: 17, 4: 3}
    assert {trained(point).data.name for point in points} == {"digits"}
    assert {load(f"{name}_small").study for name in TRAINING} == {"gated-vit-small"}


def test_the_small_study_evaluates_every_job_on_hard_and_on_moved_digits() -> None:
    parents = {point.id for name in TRAINING for point in load(f"{name}_small").points}
    children = load("exp4_robustness_small")

    assert (len(children.points), children.study) == (92, "gated-vit-small")
    assert {child.config.of for child in children.points} == parents


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], Plan]:
    """What ``plan`` says of a sweep on a cluster of A100 before any data is there."""
    FakeSlurm(tmp_path / "site", monkeypatch)
    gpus = {"gpu": {"gpu_type": "A100", "gpus_per_node": 8, "cores_per_node": 128}}

    def planned(name: str, images: int) -> Plan:
        return plan(
            load(name),
            root_path=tmp_path / "runs",
            data_root=tmp_path / "data",
            cluster=profile(partitions=gpus),
            images=images,
        )

    return planned


@pytest.mark.parametrize(
    ("name", "images"),
    [*((name, 130_000) for name in TRAINING), *((name, 1_281_167) for name in LARGE)],
)
def test_a_sweep_of_the_study_opens_with_the_cost_that_plan_tells_before_its_data_is_there(
    site: Callable[[str, int], Plan], name: str, images: int, capsys: pytest.CaptureFixture[str]
) -> None:
    planned = site(name, images)
    total = Total.of(planned.estimates.values())
    show_plan(planned, script=False)
    cost = (
        f"# Cost: {len(planned.estimates)} jobs, {planned.flops:.1e} FLOPs; "
        f"{total.gpu_hours:.0f} hours of an A100 at 35 % of its peak."
    ).replace("e+", "e")

    assert total.unknown == 0
    assert cost in (SWEEPS / f"{name}.yaml").read_text()
    assert f"A launch would take about {total.gpu_hours:.0f} GPU-hours." in capsys.readouterr().out


def test_a_job_of_the_study_takes_what_its_operations_take_by_hand(
    site: Callable[[str, int], Plan],
) -> None:
    hours = [one.hours for one in site("exp1_vanilla", 130_000).estimates.values()]

    # 27.5e9 operations an image, 63 steps of 2,048 images, 800 epochs, at 35 % of 312 TFLOP/s
    assert hours[0] == pytest.approx(27.478e9 * 63 * 2048 * 800 / (0.35 * 312e12) / 3600, rel=1e-3)


def test_evaluations_of_the_study_can_be_planned_before_anything_is_there(
    site: Callable[[str, int], Plan],
) -> None:
    planned = site("exp4_robustness", 130_000)

    assert (len(planned.estimates), planned.due, planned.flops) == (132, 0, 0)


def test_the_controls_can_be_planned_before_anything_is_there(
    site: Callable[[str, int], Plan],
) -> None:
    planned = site("exp0_controls", 130_000)

    assert (len(planned.estimates), planned.due, planned.flops) == (5, 5, 0)
    assert planned.promise is None
    with pytest.raises(SpecError, match="'exp0_controls' is of models that were trained elsewhere"):
        arms_of(planned.sweep)
