import threading
from pathlib import Path

import pytest
import torch

from orchestrator.jobs.journal import read_journal
from orchestrator.jobs.layout import JobFolder
from orchestrator.jobs.saved import saved_in
from orchestrator.worker import checkpoint
from orchestrator.worker.scribe import Scribe

CPU = torch.device("cpu")


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    folder = JobFolder(tmp_path / "job")
    folder.attempt(1).path.mkdir(parents=True)
    return folder


def scribe_of(job: JobFolder) -> Scribe:
    return Scribe.open(job, job.attempt(1), CPU, from_step=None, steps=100)


def test_a_checkpoint_is_what_the_state_was_when_it_was_given(
    job: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it is written later, when training has gone on."""
    weight, nested, go = torch.ones(3), torch.zeros(2), threading.Event()
    write = checkpoint.write_tensors
    monkeypatch.setattr(
        checkpoint, "write_tensors", lambda path, state: go.wait() and write(path, state)
    )
    with scribe_of(job) as scribe:
        scribe.checkpoint(7, {"step": 7, "model": {"w": weight}, "states": [{"m": (nested, 3)}]})
        weight.fill_(9)
        nested.fill_(9)
        assert saved_in(job.checkpoints) == []
        go.set()

    state = checkpoint.load_newest(job)
    assert state is not None
    assert torch.equal(state["model"]["w"], torch.ones(3))
    assert torch.equal(state["states"][0]["m"][0], torch.zeros(2))
    assert state["states"][0]["m"][1] == 3


def test_points_before_a_checkpoint_are_durable_before_it_is_there(
    job: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    with scribe_of(job) as scribe:
        sync = scribe.journal.sync

        def note() -> None:
            sync()
            journal = read_journal(job.attempt(1).journal, 1)
            synced.append(len(journal.points) if journal else 0)
            assert saved_in(job.checkpoints) == []

        monkeypatch.setattr(scribe.journal, "sync", note)
        scribe.point(5, 0, {"train/loss": 1.0})
        scribe.checkpoint(5, {"step": 5})
        scribe.wait()
        monkeypatch.undo()

    assert synced == [1]


def test_weights_stand_before_the_checkpoint_that_was_given_after_them(job: JobFolder) -> None:
    with scribe_of(job) as scribe:
        scribe.weights(10, 1, {"w": torch.ones(1)})
        scribe.best(10, 1, {"w": torch.ones(1)})
        scribe.checkpoint(10, {"step": 10})
        scribe.wait()
    folders = (job.weights, job.best, job.checkpoints)
    times = [(each / "001-000000010" / "meta.json").stat().st_mtime_ns for each in folders]

    assert times == sorted(times)


def test_predictions_outlive_a_checkpoint_of_an_earlier_step_that_is_written_late(
    job: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, write = threading.Event(), checkpoint.write_tensors
    monkeypatch.setattr(
        checkpoint, "write_tensors", lambda path, state: go.wait() and write(path, state)
    )
    with scribe_of(job) as scribe:
        scribe.checkpoint(9, {"step": 9})
        scribe.answers(10, b"of the last epoch")
        go.set()

    assert [one.step for one in saved_in(job.predictions)] == [10]


def _weights_and_checkpoint(scribe: Scribe) -> None:
    scribe.weights(10, 1, {"w": torch.ones(1)})
    scribe.checkpoint(10, {"step": 10})


def test_no_checkpoint_stands_beyond_weights_that_could_not_be_written(job: JobFolder) -> None:
    job.weights.write_text("a file where a folder should be")

    scribe = scribe_of(job)
    with pytest.raises(OSError, match=r"exists|Not a directory"), scribe:
        _weights_and_checkpoint(scribe)

    assert saved_in(job.checkpoints) == []


def test_what_cannot_be_written_ends_the_attempt_that_wanted_it(job: JobFolder) -> None:
    job.checkpoints.write_text("a file where a folder should be")

    with pytest.raises(OSError, match=r"exists|Not a directory"), scribe_of(job) as scribe:
        scribe.checkpoint(7, {"step": 7})
