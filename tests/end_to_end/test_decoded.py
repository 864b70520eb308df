"""Jobs that are trained on decoded images."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from orchestrator.jobs.facts import Ending, read_attempts
from orchestrator.jobs.layout import Root
from orchestrator.jobs.store import launched_revision

pytestmark = pytest.mark.slow

SET = {
    "data": {"name": "digits", "crop": "random_resized", "flip": True},
    "model": {
        "img_size": 8,
        "patch_size": 4,
        "in_chans": 1,
        "num_classes": 10,
        "dim": 16,
        "depth": 1,
        "heads": 2,
    },
    "train": {"epochs": 1, "batch_size": 96, "chunk": 48},
    "probe": {"images": 20},
}


def test_ranks_and_helpers_on_an_unreduced_copy_end_with_the_weights_of_streaming(
    tmp_path: Path, digits: Path
) -> None:
    root, copies = Root(tmp_path / "runs"), tmp_path / "copies"
    sweep: dict[str, Any] = {
        "name": "feeding",
        "set": SET,
        "grid": [{"data.decoded_px": [None, 8, 5]}],
        "placement": {"ranks": 2, "loader_workers": 1, "cache_dir": str(copies)},
    }
    (tmp_path / "feeding.yaml").write_text(json.dumps(sweep))
    command = [sys.executable, "-m", "orchestrator.cli", "launch", str(tmp_path / "feeding.yaml")]
    options = ["--root", str(root.path), "--data-root", str(digits), "--wait"]
    subprocess.run([*command, *options], check=True, capture_output=True)

    jobs = [root.job(job["id"]) for job in launched_revision(root, "feeding")["jobs"]]
    weights: list[dict[str, Tensor]] = []
    for job in jobs:
        (attempt,) = read_attempts(job)
        (kept,) = job.weights.iterdir()
        assert attempt.ending is Ending.FINISHED
        weights.append(torch.load(kept / "weights.pt", weights_only=True))
    streaming, whole, reduced = weights
    assert all(torch.equal(streaming[name], whole[name]) for name in streaming)
    assert not all(torch.equal(streaming[name], reduced[name]) for name in streaming)
    (folder,) = copies.iterdir()
    assert folder.name == f"orchestrate-{os.getuid()}"
    found = {path.name.rsplit("-", 2)[1] for path in folder.iterdir() if path.suffix != ".lease"}
    assert found == {"8px", "5px"}
