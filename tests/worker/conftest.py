"""Small jobs and claims for the worker's tests."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config import Placement, RunConfig
from orchestrator.jobs.identity import job_id
from orchestrator.jobs.layout import Root
from orchestrator.jobs.records import write_job
from orchestrator.jobs.store import create_root
from orchestrator.jobs.submissions import Submission, write_intent
from orchestrator.worker.claim import Membership

TINY: dict[str, dict[str, Any]] = {
    "data": {"name": "digits"},
    "model": {
        "img_size": 8,
        "patch_size": 4,
        "in_chans": 1,
        "num_classes": 10,
        "dim": 16,
        "depth": 2,
        "heads": 2,
        "drop_path": 0.2,
        "layer_scale": None,
    },
    "train": {"epochs": 2, "batch_size": 24, "chunk": 8},
}


@pytest.fixture
def tiny() -> Callable[..., RunConfig]:
    """A small RunConfig; keyword arguments such as train__loss="bce" change it."""

    def make(**changes: Any) -> RunConfig:
        plain = {section: dict(settings) for section, settings in TINY.items()}
        for key, value in changes.items():
            section, _, name = key.partition("__")
            plain.setdefault(section, {})[name] = value
        return RunConfig.from_plain(plain)

    return make


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return create_root(tmp_path / "runs")


@pytest.fixture
def member(root: Root, tiny: Callable[..., RunConfig]) -> Callable[[], Membership]:
    """A new submission of one and the same job, as its worker sees it."""
    config = tiny()
    job = job_id(config)
    write_job(root, job, config)

    def submit() -> Membership:
        submission = Submission(
            executor="local",
            jobs=[job],
            names=["tiny"],
            placement=Placement(),
            max_parallel=1,
            snapshot="none",
            python="python",
            data_root="/nowhere",
            owner="me",
        )
        write_intent(root, submission, "true\n")
        return Membership(root, submission, 0)

    return submit
