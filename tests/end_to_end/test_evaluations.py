"""What jobs have trained is evaluated by others: on images of some of their classes, and anew."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from support.altered_digits import NAME, prepare_altered
from support.pool_bench import Bench

from model.vit import build_vit
from orchestrator.controller.select import select
from orchestrator.jobs.facts import read_history
from orchestrator.jobs.predictions import Predictions
from orchestrator.jobs.records import read_trained
from orchestrator.worker.weights import Weights

pytestmark = pytest.mark.slow

TRAIN = """
name: trained
set:
  data: {name: digits}
  model: {img_size: 8, patch_size: 4, in_chans: 1, num_classes: 10, dim: 16, depth: 1, heads: 2}
  optim: {lr: 5.0e-3, warmup_epochs: 0}
  train: {epochs: 3, batch_size: 96, chunk: 48}
  probe: {images: 10}
grid: [{model.registers: [2]}]
placement: {device: cpu}
"""
EVALUATE = """
name: evaluated
task: evaluate
of: {sweeps: [trained.yaml]}
grid:
  - {data.name: [digits, negatives]}
  - {data.name: [digits], checkpoint: [best]}
placement: {device: cpu, ranks: 2, micro_batch: 64}
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> Iterator[Bench]:
    made = Bench(tmp_path_factory.mktemp("desk"), tmp_path_factory.mktemp("data"))
    (made.data / "digits").symlink_to(digits / "digits")
    prepare_altered(made.data)
    for name, text in {"trained": TRAIN, "evaluated": EVALUATE}.items():
        (made.folder / f"{name}.yaml").write_text(text)
    yield made
    made.tear_down()


@pytest.fixture(scope="module")
def over(desk: Bench) -> Bench:
    """A desk at which both sweeps are over, of which the children were launched first."""
    told = said(desk, "launch", "evaluated.yaml")
    assert "0 of 3 jobs submitted" in told
    assert "3 wait for their parents" in told
    said(desk, "launch", "trained.yaml", "--wait")
    said(desk, "watch", "evaluated")
    return desk


def said(desk: Bench, *words: str) -> str:
    done = desk.orchestrate(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_children_wait_for_their_parents_and_say_what_those_have_learnt(over: Bench) -> None:
    (parent,) = select(over.root, "trained")
    before = read_history(over.root.job(parent.id)).last()
    on = {job.name: job for job in select(over.root, "evaluated")}
    again, altered, best = (
        read_history(over.root.job(on[f"registers=2,{name}"].id))
        for name in ("digits", NAME, "digits,best")
    )
    course = read_history(over.root.job(parent.id)).points
    highest = max(point.metrics.get("val/top1", 0.0) for point in course)
    assert best.last()["val/top1"] == highest
    assert again.last().keys() == {"val/loss", "val/top1", "val/top5"}
    assert again.last() == pytest.approx({key: before[key] for key in again.last()}, rel=1e-6)
    assert [(point.step, point.epoch) for point in altered.points] == [(45, 3)]
    measured = altered.last()
    (file,) = over.root.job(on[f"registers=2,{NAME}"].id).predictions.iterdir()
    kept = Predictions.read(file)
    assert measured[f"eval/{NAME}/n"] == len(kept) == 137
    assert measured[f"eval/{NAME}/top1"] == 100 * kept.right().mean()
    assert kept.clean is not None
    assert kept.clean.masked is not None
    told = 100 * (kept.clean.masked == kept.clean.label).mean()
    assert measured[f"eval/{NAME}/clean_masked"] == pytest.approx(told)
    assert told > 45
    assert measured[f"eval/{NAME}/gap"] == pytest.approx(
        measured[f"eval/{NAME}/clean_masked"] - measured[f"eval/{NAME}/top1_masked"]
    )


def test_evaluations_take_as_long_as_those_of_the_same_set_before(over: Bench) -> None:
    (over.folder / "again.yaml").write_text(
        EVALUATE.replace("evaluated", "again").replace("[digits], ch", f"[{NAME}], ch")
    )

    told = said(over, "plan", "again.yaml")

    assert re.search(r"1 job like it here: [\d.]+ s each", told)


def test_results_of_evaluations_stand_on_the_axes_of_their_parents(over: Bench) -> None:
    words = ("results", "evaluated", "--metric", f"eval/{NAME}/n", "--by", "model.registers")

    (row,) = json.loads(said(over, *words, "--by", "seed", "--json"))["rows"]

    assert (row["model.registers"], row["seed"], row["mean"]) == (2, 0, 137)


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_weights_are_written_with_the_lines_by_which_plain_timm_loads_them(
    over: Bench, ending: str
) -> None:
    file = over.folder / f"best.{ending}"
    words = ("weights", "trained/registers=2", "-o", str(file), "--checkpoint", "best", "--timm")

    told = said(over, *words)

    names: dict[str, Any] = {}
    exec(told.split("\n\n")[1], names)  # noqa: S102 - it is what a user is told to type
    (parent,) = select(over.root, "trained")
    (folder,) = over.root.job(parent.id).best.iterdir()
    kept = Weights.read(folder)
    model, images = names["model"].eval(), torch.zeros(1, 1, 8, 8)
    assert told.startswith(f"{file}: registers=2 after epoch {kept.epoch}. To load it with plain")
    assert "8 x 8 pixels in [0, 1], less 0.5, over 0.5." in told
    ours = build_vit(read_trained(over.root, parent.id).model).eval()
    ours.load_state_dict(kept.state)
    assert torch.equal(model(images), ours(images))
    again = over.orchestrate(*words)
    assert again.returncode == 1
    assert "is there already" in again.stderr
    device = over.folder / f"pipe.{ending}"
    os.mkfifo(device)
    assert "is there and no file" in over.orchestrate(*words[:3], str(device), "--force").stderr
    assert device.is_fifo()


def test_weights_that_a_parent_did_not_keep_are_told_before_anything_is_made(over: Bench) -> None:
    text = EVALUATE.replace("evaluated", "missing").replace("[best]", "[2]")
    (over.folder / "missing.yaml").write_text(text)

    for verb in ("plan", "launch"):
        done = over.orchestrate(verb, "missing.yaml")

        assert done.returncode == 1
        assert "trained/registers=2 is done and has no weights of checkpoint 2" in done.stderr
        assert "(kept: 3, best, last)" in done.stderr
    assert not over.root.sweep("missing").exists()


def test_a_set_that_shares_no_class_is_told_before_anything_is_made(desk: Bench) -> None:
    prepare_altered(desk.data, "strangers", ())
    (desk.folder / "strange.yaml").write_text(EVALUATE.replace("negatives", "strangers"))

    done = desk.orchestrate("plan", "strange.yaml")

    assert done.returncode == 1
    assert "'strangers' has no class in common with 'digits'" in done.stderr


def older(desk: Bench) -> list[bool]:
    jobs = json.loads(said(desk, "status", "evaluated", "--json"))["jobs"]
    return [job["older_weights"] for job in jobs]


def test_an_evaluation_is_of_older_weights_once_its_parent_has_others(over: Bench) -> None:
    said(over, "launch", "trained.yaml", "--fresh", "all", "--yes", "--wait")
    assert older(over) == [False] * 3  # the same bits

    on_two_ranks = TRAIN.replace("{device: cpu}", "{device: cpu, ranks: 2}")
    (over.folder / "trained.yaml").write_text(on_two_ranks)
    said(over, "launch", "trained.yaml", "--fresh", "all", "--yes")
    assert older(over) == [True] * 3  # its parent is at it
    said(over, "watch", "trained")

    assert older(over) == [True] * 3
    assert said(over, "status", "evaluated").count("older weights") == 3
    assert "is of its weights before" in said(over, "why", "evaluated/registers=2,digits,best")
    flagged = json.loads(said(over, "results", "evaluated", "--metric", "val/top1", "--json"))
    assert ["older weights (1 of 1)"] in [row["flags"] for row in flagged["rows"]]
    assert "3 of them of older weights" in said(over, "launch", "evaluated.yaml")
    said(over, "launch", "evaluated.yaml", "--fresh", "older", "--yes", "--wait")
    assert older(over) == [False] * 3
