import json
from pathlib import Path

import pytest
import torch

from orchestrator.jobs.layout import JobFolder
from orchestrator.jobs.saved import saved_in
from orchestrator.jobs.weights import is_sound
from orchestrator.worker import checkpoint, weights


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    return JobFolder(tmp_path / "job")


def save(job: JobFolder, attempt: int, step: int) -> Path:
    weights.save(job, job.attempt(attempt), step, step // 10, {"w": torch.ones(3) * step})
    return job.weights / f"{attempt:03d}-{step:09d}"


def test_weights_are_a_plain_state_beside_what_they_are_of(job: JobFolder) -> None:
    folder = save(job, 1, 25)

    state = torch.load(folder / "weights.pt", weights_only=True)
    told = json.loads((folder / "meta.json").read_bytes())
    assert list(state) == ["w"]
    assert torch.equal(state["w"], torch.full((3,), 25.0))
    assert (told["schema"], told["step"], told["epoch"]) == (1, 25, 2)
    assert is_sound(folder)


def test_an_attempt_replaces_what_others_kept_of_its_step_and_of_later_ones(job: JobFolder) -> None:
    for step in (10, 20, 30):
        save(job, 1, step)

    save(job, 2, 20)

    assert [(one.step, one.attempt) for one in saved_in(job.weights)] == [(10, 1), (20, 2)]
    assert {path.name for path in job.weights.iterdir()} == {"001-000000010", "002-000000020"}


def test_half_written_weights_are_cleared_by_the_next_attempt(job: JobFolder) -> None:
    (job.weights / ".tmp-001-000000009-abc").mkdir(parents=True)
    (job.weights / ".tmp-001-000000009-abc" / "weights.pt").write_bytes(b"half")

    checkpoint.clear_leftovers(job)

    assert list(job.weights.iterdir()) == []
