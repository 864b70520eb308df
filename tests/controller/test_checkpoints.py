from pathlib import Path

import pytest
import torch

from orchestrator.config import RunConfig
from orchestrator.controller.checkpoints import find_checkpoint
from orchestrator.errors import RootError, SpecError
from orchestrator.jobs.identity import job_id
from orchestrator.jobs.layout import JobFolder, Root
from orchestrator.jobs.orders import Order, write_order
from orchestrator.jobs.records import write_job
from orchestrator.jobs.store import create_root
from orchestrator.worker import checkpoint, weights

CONFIG = RunConfig.from_plain({"data": {"name": "digits"}})
JOB = job_id(CONFIG)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    made = create_root(tmp_path / "runs")
    write_job(made, JOB, CONFIG)
    return made


@pytest.fixture
def job(root: Root) -> JobFolder:
    """A job with weights of two epochs and a checkpoint."""
    folder = root.job(JOB)
    state = {"a": torch.zeros(1)}
    for step, epoch in ((10, 1), (20, 2)):
        weights.save(folder, folder.attempt(1), step, epoch, state)
    checkpoint.save(folder, folder.attempt(1), 20, {"model": state})
    return folder


def test_a_job_means_its_newest_weights(root: Root, job: JobFolder) -> None:
    found = find_checkpoint(root.path, JOB[:6])

    assert found.file == job.weights / "001-000000020" / "weights.pt"
    assert (found.step, found.epoch, found.config) == (20, 2, CONFIG)


def test_without_weights_the_newest_checkpoint_is_meant(root: Root) -> None:
    folder = root.job(JOB)
    checkpoint.save(folder, folder.attempt(1), 7, {"model": {}})

    found = find_checkpoint(root.path, JOB)

    assert found.file.name == "state.pt"
    assert (found.step, found.epoch) == (7, None)


@pytest.mark.parametrize(
    ("path", "step"),
    [
        ("", 20),
        ("weights", 20),
        ("weights/001-000000010", 10),
        ("weights/001-000000010/weights.pt", 10),
        ("checkpoints", 20),
        ("checkpoints/001-000000020/state.pt", 20),
    ],
)
def test_a_path_means_itself_without_any_root_named(
    job: JobFolder, tmp_path: Path, path: str, step: int
) -> None:
    found = find_checkpoint(tmp_path / "nowhere", str(job.path / path))

    assert found.step == step
    assert path.partition("/")[0] in str(found.file)
    assert found.job.id == JOB


def test_a_job_that_saved_nothing_yet_is_told(root: Root) -> None:
    with pytest.raises(RootError, match="saved no model yet"):
        find_checkpoint(root.path, JOB[:6])


def test_weights_that_changed_since_they_were_written_are_refused(
    root: Root, job: JobFolder
) -> None:
    with (job.weights / "001-000000020" / "weights.pt").open("ab") as file:
        file.write(b"x")

    with pytest.raises(RootError, match=r"weights\.pt is damaged"):
        find_checkpoint(root.path, JOB)


def test_a_path_outside_of_any_job_is_told_with_the_other_way(tmp_path: Path) -> None:
    (tmp_path / "x.pth").write_bytes(b"")

    with pytest.raises(SpecError, match=r"no job\.json above.*--weights"):
        find_checkpoint(tmp_path, str(tmp_path / "x.pth"))


def test_a_file_of_a_job_that_is_no_saved_model_is_told_with_those_that_are(
    job: JobFolder,
) -> None:
    job.probes.mkdir()
    (job.probes / "001-000000010.npz").write_bytes(b"")

    with pytest.raises(SpecError, match=r"no saved model.*weights/001-000000010"):
        find_checkpoint(job.path, str(job.probes / "001-000000010.npz"))


def test_an_unknown_name_is_told(root: Root) -> None:
    with pytest.raises(SpecError, match="called 'nothing'"):
        find_checkpoint(root.path, "nothing")


def test_what_was_discarded_is_not_meant_unless_its_own_path_is_given(
    root: Root, job: JobFolder
) -> None:
    job.attempt(1).path.mkdir(parents=True)
    write_order(root, Order(what="afresh", jobs=[JOB], last={JOB: 1}))

    for text in (JOB, str(job.path)):
        with pytest.raises(RootError, match=r"counts no more: weights/001-000000010"):
            find_checkpoint(root.path, text)
    weights.save(job, job.attempt(2), 5, 1, {"a": torch.zeros(1)})
    weights.save(job, job.attempt(1), 30, 3, {"a": torch.zeros(1)})
    assert find_checkpoint(root.path, JOB).step == 5
    assert find_checkpoint(root.path, str(job.weights)).step == 5
    assert find_checkpoint(root.path, str(job.weights / "001-000000030")).step == 30


def test_a_folder_that_has_a_jobs_name_by_chance_does_not_hide_the_job(
    root: Root, job: JobFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / JOB[:6]).mkdir()

    assert find_checkpoint(root.path, JOB[:6]).step == 20
