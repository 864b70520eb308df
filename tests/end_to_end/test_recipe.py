"""The recipe of DeiT III as a user launches it, on the real digits and two ranks."""

import json
from pathlib import Path

import pytest
import torch
from support.command_line import orchestrate

from orchestrator.jobs.facts import read_history
from orchestrator.jobs.layout import Root

pytestmark = pytest.mark.slow
SWEEP = Path(__file__).parents[2] / "sweeps" / "base" / "digits_deit3.yaml"


def test_the_recipe_runs_to_its_end_on_two_ranks_and_is_measured(
    tmp_path: Path, digits: Path
) -> None:
    places = {"root": tmp_path / "runs", "data": digits}

    orchestrate("launch", str(SWEEP), "--wait", **places)

    root = Root(places["root"])
    (job,) = (root.job(found) for found in root.job_folders())
    points = [point for point in read_history(job).points if "train/loss" in point.metrics]
    losses = [point.metrics["train/loss"] for point in points]
    rates = [point.metrics["train/lr"] for point in points]
    assert [(point.step, point.epoch) for point in points] == [(20, 2), (40, 4)]
    assert 0.68 < losses[0] < 0.71  # bce of an untrained model: ln 2
    assert losses[1] < 0.9 * losses[0]
    assert rates == pytest.approx([1e-6, 1e-5 + 0.5 * (4e-3 - 1e-5)])  # a cosine at 2 of 4
    (row,) = json.loads(orchestrate("results", "digits_deit3", "--json", **places))["rows"]
    assert row["n"] == 1
    newest = max(job.checkpoints.iterdir())
    state = torch.load(newest / "state.pt", weights_only=True)
    average, weights = state["average"]["head.weight"], state["model"]["head.weight"]
    assert average.shape == weights.shape
    assert not torch.equal(average, weights)
