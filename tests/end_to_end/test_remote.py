"""A job that is trained on shards of a web server."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.web import served

from orchestrator.jobs.datasets import load_manifest
from orchestrator.jobs.facts import Ending, read_attempts, read_history
from orchestrator.jobs.layout import Root
from orchestrator.jobs.store import launched_revision
from orchestrator.worker.data.digits import digit_samples
from orchestrator.worker.data.samples import About
from orchestrator.worker.data.shards import ShardLimits, write_dataset

pytestmark = pytest.mark.slow


def orchestrate(*words: object) -> str:
    command = [sys.executable, "-m", "orchestrator.cli", *map(str, words)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_two_ranks_train_on_shards_of_a_web_server_and_are_evaluated_on_kept_ones(
    tmp_path: Path,
) -> None:
    about = About(name="here", source="t", split_rule="t", classes=tuple(map(str, range(10))))
    write_dataset(tmp_path / "far", about, digit_samples(), ShardLimits(samples=300))
    sweep = {
        "name": "far",
        "set": {
            "data.name": "digits_far",
            "model": {"img_size": 8, "patch_size": 4, "in_chans": 1, "num_classes": 10,
                      "dim": 16, "depth": 1, "heads": 2},
            "train": {"epochs": 2, "batch_size": 96, "chunk": 48},
            "probe": {"images": 20},
        },
        "placement": {"ranks": 2, "loader_workers": 1},
    }  # fmt: skip
    (tmp_path / "far.yaml").write_text(json.dumps(sweep))
    root, data = Root(tmp_path / "runs"), tmp_path / "data"
    with served(tmp_path / "far" / "here") as address:
        train, val = f"{address}/train-{{00000..00004}}.tar", f"{address}/val-{{00000..00001}}.tar"
        adopt = ("data", "adopt", "digits_far", "--train", train, "--val", val)
        orchestrate(*adopt, "--data-root", data)
        where = ("--root", root.path, "--data-root", data)
        orchestrate("launch", tmp_path / "far.yaml", *where, "--wait")

    assert load_manifest(data, "digits_far").images("train") == 1347
    (job,) = launched_revision(root, "far")["jobs"]
    folder = root.job(job["id"])
    (attempt,) = read_attempts(folder)
    history = read_history(folder)
    assert attempt.ending is Ending.FINISHED
    assert history.points[-1].step == 2 * 15
    assert {"val/top1", "train/loss"} <= set(history.last())
    (log,) = folder.path.glob("attempts/*/rank0.log")
    assert "warning: Training shards are streamed" in log.read_text()
