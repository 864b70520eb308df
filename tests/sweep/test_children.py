from pathlib import Path

import pytest
from sweep.conftest import Load, Refused

from orchestrator.config import AnalyzeConfig, EvaluateConfig
from orchestrator.sweep.children import SEEDS
from orchestrator.sweep.expand import Sweep

TRAINED = """
name: {name}
set:
  data: {{name: digits}}
  model: {{img_size: 8, patch_size: 4, in_chans: 1, num_classes: 10, dim: 8, depth: 1, heads: 2}}
grid:
  - {grid}
seeds: [0, 1]
"""
HEAD = "name: e\ntask: evaluate\nof: {sweeps: [s.yaml]}\n"
ALONE = "a sweep with task: evaluate sets data.name and checkpoint alone"
AT = "named under of at a.yaml:3"
SET = "set: {data.name: imagenet_a}\n"


@pytest.fixture(autouse=True)
def _trained(folder: Path) -> None:
    (folder / "s.yaml").write_text(TRAINED.format(name="s", grid="{model.registers: [0, 4]}"))
    (folder / "t.yaml").write_text(TRAINED.format(name="t", grid="{}"))
    (folder / "x.yaml").write_text(
        TRAINED.format(name="x", grid="{model.dim: [16], data.name: [d]}")
    )
    (folder / "e2.yaml").write_text(HEAD + SET)


def named(sweep: Sweep) -> dict[str, dict[str, object]]:
    return {point.name: dict(point.axes) for point in sweep.points}


def test_every_job_of_the_named_sweeps_is_evaluated_on_every_set(load: Load) -> None:
    sweep = load(HEAD + "grid: [{data.name: [imagenet_a, imagenet_r], checkpoint: [last, 300]}]")

    assert len(sweep.points) == len({point.id for point in sweep.points}) == 16
    first, *_, last = sweep.points
    assert first.name == "registers=0,seed=0,imagenet_a,last"
    assert last.name == "registers=4,seed=1,imagenet_r,epoch300"
    assert last.axes == {
        "model.registers": 4,
        "seed": 1,
        "data.name": "imagenet_r",
        "checkpoint": 300,
    }
    assert last.parent is not None
    assert last.config == EvaluateConfig.from_plain(
        {"of": last.parent.id, "checkpoint": 300, "data": {"name": "imagenet_r"}}
    )
    assert (last.parent.name, last.trained.model.registers) == ("s/registers=4,seed=1", 4)


def test_what_is_not_varied_needs_no_words(load: Load) -> None:
    assert named(load(HEAD + SET, seeds=[1])) == {
        "registers=0,seed=1,imagenet_a": {"model.registers": 0, "seed": 1},
        "registers=4,seed=1,imagenet_a": {"model.registers": 4, "seed": 1},
    }


def test_a_job_of_two_sweeps_is_evaluated_once_and_jobs_called_alike_are_told_apart(
    load: Load, folder: Path
) -> None:
    """t has the first two jobs of s; u has two of another rate, which it does not vary."""
    same = (folder / "t.yaml").read_text().replace("name: t", "name: u")
    (folder / "u.yaml").write_text(same.replace("set:", "set:\n  optim.lr: 0.5"))

    found = load(HEAD.replace("s.yaml", "t.yaml, u.yaml, s.yaml") + SET)

    assert [(point.name, point.axes["sweep"]) for point in found.points] == [
        ("t.seed=0,imagenet_a", "t"),
        ("t.seed=1,imagenet_a", "t"),
        ("u.seed=0,imagenet_a", "u"),
        ("u.seed=1,imagenet_a", "u"),
        ("registers=4,seed=0,imagenet_a", "s"),
        ("registers=4,seed=1,imagenet_a", "s"),
    ]


def test_conditions_choose_among_parents_and_among_points(load: Load) -> None:
    """What a point does not set is as its parent has it."""
    some = HEAD.replace("s.yaml]", "s.yaml], where: model.registers == 4 and seed == 1")
    grid = "grid: [{data.name: [imagenet_a, imagenet_r]}]\n"
    where = "where: data.name == 'imagenet_a' or model.registers + seed == 5\n"

    assert list(named(load(some + SET))) == ["registers=4,seed=1,imagenet_a"]
    assert list(named(load(HEAD + grid + where))) == [
        "registers=0,seed=0,imagenet_a",
        "registers=0,seed=1,imagenet_a",
        "registers=4,seed=0,imagenet_a",
        "registers=4,seed=1,imagenet_a",
        "registers=4,seed=1,imagenet_r",
    ]


def test_of_a_key_that_both_vary_the_parents_has_a_name_of_its_own(load: Load) -> None:
    text = HEAD.replace("s.yaml", "x.yaml") + "grid: [{data.name: [imagenet_a]}]"

    axes = load(text).points[0].axes

    assert axes == {"model.dim": 16, "of.data.name": "d", "seed": 0, "data.name": "imagenet_a"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            f"{HEAD}set: {{data.name: d, model.dim: 8}}",
            f"a.yaml:4: model.dim is as the parent has it; {ALONE}",
        ),
        (
            f"{HEAD}{SET}grid: [{{optim.lr: [1.0]}}]",
            f"a.yaml:5: optim.lr is as the parent has it; {ALONE}",
        ),
        (
            "name: s\nset: {data.name: d, checkpoint: best}",
            "a.yaml:2: checkpoint is a setting of a sweep with task: evaluate or analyze",
        ),
        (
            "name: s\nset: {data.name: d}\nof: {sweeps: [s.yaml]}",
            "a.yaml:3: of belongs to a sweep with task: evaluate or analyze",
        ),
        (
            f"name: s\ntask: evaluate\n{SET}",
            "a.yaml:2: of is missing; it says what is evaluated, as in of: {sweeps: [exp1.yaml]}",
        ),
        (
            f"{HEAD}{SET}seeds: [0]",
            f"a.yaml:5: {SEEDS.format(task='evaluate')}",
        ),
        (
            f"{HEAD}{SET}derive: {{checkpoint: 1 + 1}}",
            "a.yaml:5: derive has no use with task: evaluate (checkpoint); write it under set",
        ),
        (
            f"{HEAD}{SET}".replace("s.yaml]", "s.yaml], where: seed > 1"),
            "a.yaml:3: where holds for none of the 4 parents",
        ),
        (
            f"{HEAD}{SET}".replace("s.yaml]", "s.yaml], where: sede > 1"),
            "a.yaml:3: of.where: column 1: sede is not a configuration key; nearest: seed",
        ),
        (
            f"{HEAD}{SET}where: seed > 1",
            "a.yaml: where left no point of 4 parents",
        ),
        (HEAD, "a.yaml: data.name is missing; give it a value"),
        (
            f"{HEAD}set: {{data.name: d, checkpoint: 0}}",
            "a.yaml:4: checkpoint: it is 0; it must be last, best, or an epoch from 1 on",
        ),
        (
            f"{HEAD}{SET}".replace("s.yaml", "gone.yaml"),
            f"gone.yaml: cannot be read: No such file or directory ({AT})",
        ),
        (
            f"{HEAD}{SET}".replace("s.yaml", "e2.yaml"),
            f"sweep 'e2.yaml' has task: evaluate; name one whose jobs train ({AT})",
        ),
        (
            f"{HEAD}{SET}".replace("s.yaml", "a.yaml"),
            f"sweep 'a.yaml' has task: evaluate; name one whose jobs train ({AT})",
        ),
        (
            f"{HEAD}{SET}".replace("s.yaml", "exp1"),
            f"sweep 'exp1' is named, but no run root to look for it; name its file ({AT})",
        ),
    ],
)
def test_a_mistake_is_one_line_with_its_place(refused: Refused, text: str, message: str) -> None:
    assert refused(text) == [message]


def test_seeds_that_no_parent_has_are_refused(refused: Refused) -> None:
    assert refused(HEAD + SET, seeds=[7]) == [
        "a.yaml:3: none of the parents has such a seed (there: 0, 1)"
    ]


LOOK = HEAD.replace("evaluate", "analyze")
TIMM = """
name: c
task: analyze
of:
  timm:
    deit3-b: {model: deit3_base_patch16_224.fb_in22k_ft_in1k, expect: artifacts}
    dinov2-s: vit_small_patch14_dinov2.lvd142m
set: {data.name: imagenet_val}
"""
LISTED = TIMM.partition("  timm:")[0] + "  timm: [a, b]\nset: {data.name: d}\n"


def test_every_job_of_the_named_sweeps_is_analysed_on_as_many_images_as_are_asked_for(
    load: Load,
) -> None:
    sweep = load(LOOK + "set: {data.name: digits}\ngrid: [{analysis.images: [50, null]}]")

    first, second, *_ = sweep.points
    assert len({point.id for point in sweep.points}) == len(sweep.points) == 8
    assert first.name == "registers=0,seed=0,digits,images=50"
    assert first.axes == {"model.registers": 0, "seed": 0, "analysis.images": 50}
    assert second.axes["analysis.images"] is None
    assert first.parent is not None
    assert first.config == AnalyzeConfig.from_plain(
        {"of": first.parent.id, "data": {"name": "digits"}, "analysis": {"images": 50}}
    )


def test_models_of_timm_need_no_parent_and_are_called_by_their_cases(load: Load) -> None:
    sweep = load(TIMM)

    assert [(p.name, p.axes, p.expect, p.parent, p.trained) for p in sweep.points] == [
        ("deit3-b,imagenet_val", {"case": "deit3-b"}, "artifacts", None, None),
        ("dinov2-s,imagenet_val", {"case": "dinov2-s"}, "", None, None),
    ]
    assert sweep.points[1].config == AnalyzeConfig.from_plain(
        {"of": "timm:vit_small_patch14_dinov2.lvd142m", "data": {"name": "imagenet_val"}}
    )


def test_models_of_timm_may_be_listed_by_name_and_what_is_expected_changes_no_job(
    load: Load,
) -> None:
    listed = load(LISTED)
    told = load(LISTED.replace("[a, b]", "{a: {model: a, expect: none}, b: b}"))

    assert [point.name for point in listed.points] == ["a,d", "b,d"]
    assert [point.id for point in listed.points] == [point.id for point in told.points]


def test_conditions_choose_among_models_of_timm_by_their_cases(load: Load) -> None:
    where = "grid: [{data.name: [d, e]}]\nwhere: case == 'a' or data.name == 'e'\n"
    text = LISTED.partition("set:")[0] + where

    assert [point.name for point in load(text).points] == ["a,d", "a,e", "b,e"]


def test_seeds_of_models_of_timm_are_refused(refused: Refused) -> None:
    assert refused(LISTED, seeds=[0]) == [
        "a.yaml:4: models of timm's have no seeds; leave --seeds out"
    ]
