import json
from pathlib import Path

import pytest
import torch

from orchestrator.jobs.journal import Header, JournalWriter
from orchestrator.jobs.layout import JobFolder
from orchestrator.jobs.predictions import predictions_file
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


def best(job: JobFolder, attempt: int, step: int) -> None:
    weights.save_best(job, job.attempt(attempt), step, step // 10, {"w": torch.ones(3) * step})


def checkpointed(job: JobFolder, attempt: int, step: int) -> None:
    checkpoint.save(job, job.attempt(attempt), step, {"step": step})
    weights.drop_beaten(job, step)


def kept(job: JobFolder) -> list[tuple[int, int]]:
    return [(one.step, one.attempt) for one in saved_in(job.best)]


def test_the_best_that_a_checkpoint_knows_stays_until_a_checkpoint_knows_a_better_one(
    job: JobFolder,
) -> None:
    best(job, 1, 10)
    checkpointed(job, 1, 15)
    best(job, 1, 20)
    best(job, 1, 30)  # a better one: nobody can go on from 20
    assert kept(job) == [(10, 1), (30, 1)]

    checkpointed(job, 1, 30)

    assert kept(job) == [(30, 1)]
    assert is_sound(job.best / "001-000000030")


def test_what_was_the_best_beyond_the_step_that_is_resumed_goes(job: JobFolder) -> None:
    best(job, 1, 10)
    checkpointed(job, 1, 15)
    best(job, 1, 30)

    checkpointed(job, 2, 20)

    assert kept(job) == [(10, 1)]


def test_what_was_the_best_of_a_course_that_was_left_takes_the_place_of_nothing(
    job: JobFolder,
) -> None:
    """A GPU's second course need not be as good at step 30 as the first one was."""
    for step in (10, 30):
        best(job, 1, step)
        predictions_file(job.predictions, 1, step).parent.mkdir(parents=True, exist_ok=True)
        predictions_file(job.predictions, 1, step).write_bytes(b"")
        if step == 10:
            checkpointed(job, 1, 15)
    job.attempt(2).path.mkdir(parents=True)
    JournalWriter(job.attempt(2).journal, Header("job", 2, from_step=15, steps=90)).close()

    checkpointed(job, 2, 40)

    assert kept(job) == [(10, 1)]
    assert [one.step for one in saved_in(job.predictions)] == [10]


def test_predictions_stay_of_the_best_epoch_and_of_the_last(job: JobFolder) -> None:
    job.predictions.mkdir(parents=True)
    for step in (10, 20, 30):
        predictions_file(job.predictions, 1, step).write_bytes(b"")
        if step < 30:
            best(job, 1, step)

    checkpointed(job, 1, 20)
    assert [one.step for one in saved_in(job.predictions)] == [20]
    predictions_file(job.predictions, 1, 30).write_bytes(b"")
    checkpointed(job, 1, 30)

    assert [one.step for one in saved_in(job.predictions)] == [20, 30]
    assert kept(job) == [(20, 1)]
