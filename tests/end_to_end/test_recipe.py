"""The recipe on images of ImageNet's shape: prepared, trained, killed, resumed, probed, evaluated.

One course of it all, as its parts lean on one another; only the number of images is small.
"""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.photos import imagenet_folder, kaggle_folder
from support.pool_bench import Bench, until

from orchestrator.controller.select import select
from orchestrator.jobs.facts import Ending, read_attempts, read_history
from orchestrator.jobs.layout import JobFolder
from orchestrator.jobs.predictions import Predictions, predictions_by_step
from orchestrator.jobs.processes import Process
from orchestrator.worker.data.label_spaces import IMAGENET100_KAGGLE, IMAGENET_A, IMAGENET_R

pytestmark = pytest.mark.slow
RECIPE = Path(__file__).parents[2] / "sweeps/base/imagenet100_deit3_small.yaml"
STEPS = 4  # 300 images are 256 draws, so four steps of 64; a third of the images is in them
CONFIGURATION = {
    "train": {"epochs": 1, "batch_size": 64, "chunk": 16, "precision": "fp32"},
    "probe": {"images": 8},
}
PLACEMENT = {"micro_batch": 16, "loader_workers": 1, "device": "cpu", "checkpoint_minutes": 0}
ROBUST = """
name: robust
task: evaluate
of: {sweeps: [shape.yaml]}
grid: [{data.name: [imagenet_a, imagenet_r]}]
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A folder with sources of images in the layouts in which they come."""
    folder = tmp_path_factory.mktemp("desk")
    usual = imagenet_folder(folder / "usual", IMAGENET100_KAGGLE, (3, 1))
    kaggle_folder(folder / "kaggle", usual)
    for name, wnids in (("a", IMAGENET_A), ("r", IMAGENET_R)):
        made = imagenet_folder(folder / f"made_{name}", wnids, (0, 1), (80, 60))
        (made / "val").rename(folder / f"imagenet-{name}")
    bench = Bench(folder, folder / "data")
    yield bench
    bench.tear_down()


def run(desk: Bench, *words: str) -> str:
    done = desk.orchestrate(*words, patience=400)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def launch(desk: Bench, *words: str, ranks: int) -> JobFolder:
    """Launch the sweep with so many ranks; its only job."""
    placement = {**PLACEMENT, "ranks": ranks, "log_every_steps": 1, "threads_per_rank": 2 // ranks}
    text = {"name": "shape", "extends": str(RECIPE), "set": CONFIGURATION, "placement": placement}
    (desk.folder / "shape.yaml").write_text(json.dumps(text))
    run(desk, "launch", "shape.yaml", *words)
    (job,) = select(desk.root, "shape")
    return desk.root.job(job.id)


def kill_a_rank(desk: Bench, job: JobFolder) -> None:
    start = read_attempts(job)[-1].start
    log = desk.root.submission(start.token).pool.read_text()
    pool = Process.named(json.loads(log.splitlines()[0])["pool"]).pid
    ranks = Path(f"/proc/{pool}/task/{pool}/children").read_text().split()
    os.kill(int(ranks[-1]), signal.SIGKILL)


def test_the_recipe_goes_all_the_way_on_images_in_kaggle_s_layout(desk: Bench) -> None:
    for collection, source in (("imagenet_a", "imagenet-a"), ("imagenet_r", "imagenet-r")):
        run(desk, "data", "prepare", collection, "--source", source, "--any-counts")
    kaggle = ("--source", "kaggle", "--classes", "kaggle", "--any-counts")
    run(desk, "data", "prepare", "imagenet100", *kaggle)
    run(desk, "data", "verify", "imagenet100")

    job = launch(desk, ranks=2)
    until(lambda: job.saved_steps().get(1, 0) >= 2, seconds=240)
    kill_a_rank(desk, job)
    until(lambda: read_attempts(job)[-1].running is False, seconds=60)
    launch(desk, "--wait", ranks=1)

    first, second = read_attempts(job)
    points = read_history(job).points
    told = {point.step: point.metrics for point in points if "train/lr" in point.metrics}
    assert (first.start.facts["world"], second.start.facts["world"]) == (2, 1)
    assert second.ending is Ending.FINISHED
    assert 2 <= (second.from_step or 0) < STEPS
    assert list(told) == [1, 2, 3, 4]
    assert all(0.6 < metrics["train/loss"] < 0.8 for metrics in told.values())  # ln 2 at first
    assert points[-1].metrics.keys() >= {
        "val/top1",
        "norms/max",
        "attention/entropy",
        "time/probe_s",
    }
    assert points[0].metrics["flops/forward_macs"] == 4_598_882_304 - 345_600

    run(desk, "probe", "shape", "--count", "4", "--out", "looked")
    assert json.loads((desk.folder / "looked/findings.json").read_text())

    (desk.folder / "robust.yaml").write_text(ROBUST)
    run(desk, "launch", "robust.yaml", "--wait")
    children = select(desk.root, "robust")
    found: dict[str, Any] = {}
    for child in children:
        folder = desk.root.job(child.id)
        found |= read_history(folder).last()
        (answers,) = predictions_by_step(folder.predictions, read_attempts(folder)).values()
        asked = Predictions.read(answers)
        assert set(np.unique(asked.masked)) <= set(np.unique(asked.label))
    assert len(children) == 2
    for name, classes in (("imagenet_a", 26), ("imagenet_r", 25)):
        assert (found[f"eval/{name}/n"], found[f"eval/{name}/classes"]) == (classes, classes)
        assert found[f"eval/{name}/chance"] == pytest.approx(100 / classes)
        gap = found[f"eval/{name}/clean_masked"] - found[f"eval/{name}/top1_masked"]
        assert found[f"eval/{name}/gap"] == pytest.approx(gap)
    table = run(desk, "results", "robust", "--metric", "eval/imagenet_a/top1_masked")
    assert "imagenet_a" in table
