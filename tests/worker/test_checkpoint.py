import errno
import hashlib
import io
import json
import os
from pathlib import Path

import pytest
import torch

from orchestrator.jobs.journal import Header, JournalWriter
from orchestrator.jobs.layout import JobFolder
from orchestrator.worker import checkpoint
from orchestrator.worker.stability import Course, Step


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    folder = JobFolder(tmp_path / "job")
    folder.checkpoints.mkdir(parents=True)
    folder.probes.mkdir()
    return folder


def save(job: JobFolder, attempt: int, step: int) -> Path:
    checkpoint.save(job, job.attempt(attempt), step, {"step": step, "w": torch.ones(3) * step})
    return job.checkpoints / f"{attempt:03d}-{step:09d}"


def test_what_is_saved_comes_back(job: JobFolder) -> None:
    save(job, 1, 7)

    state = checkpoint.load_newest(job)

    assert state is not None
    assert state["step"] == 7
    assert torch.equal(state["w"], torch.full((3,), 7.0))


def test_without_a_checkpoint_there_is_nothing_to_resume(job: JobFolder) -> None:
    assert checkpoint.load_newest(job) is None


def test_the_highest_step_counts_whichever_attempt_wrote_it(job: JobFolder) -> None:
    save(job, 2, 30)
    save(job, 1, 100)

    assert checkpoint.load_newest(job)["step"] == 100


def test_saving_below_damaged_checkpoints_drops_them_and_not_what_was_just_saved(
    job: JobFolder,
) -> None:
    for step in (50, 90, 100):
        save(job, 1, step)
    for newer in (90, 100):
        (job.checkpoints / f"001-{newer:09d}" / "state.pt").write_bytes(b"damaged")

    save(job, 2, 60)

    assert checkpoint.load_newest(job)["step"] == 60
    assert [p.name for p in job.checkpoints.iterdir()] == ["002-000000060"]


def test_what_an_attempt_published_after_a_later_one_resumed_below_it_does_not_count(
    job: JobFolder,
) -> None:
    save(job, 1, 50)
    job.attempt(2).path.mkdir(parents=True)
    JournalWriter(job.attempt(2).journal, Header("job", 2, from_step=50, steps=200)).close()
    save(job, 1, 60)

    assert checkpoint.load_newest(job)["step"] == 50


def test_what_a_discarded_attempt_saved_is_not_resumed_and_goes_with_the_first_save_after_it(
    job: JobFolder,
) -> None:
    for attempt, step in ((1, 50), (1, 60), (2, 70)):
        save(job, attempt, step)

    assert checkpoint.load_newest(job, discarded=2) is None
    assert checkpoint.load_newest(job, discarded=1)["step"] == 70
    save(job, 3, 10)
    assert checkpoint.load_newest(job, discarded=2)["step"] == 10
    assert [p.name for p in job.checkpoints.iterdir()] == ["003-000000010"]


def test_a_damaged_checkpoint_that_was_passed_over_is_not_one_of_the_two_that_are_kept(
    job: JobFolder,
) -> None:
    for step in (50, 60):
        save(job, 1, step)
    job.attempt(2).path.mkdir(parents=True)
    JournalWriter(job.attempt(2).journal, Header("job", 2, from_step=50, steps=200)).close()

    save(job, 2, 70)

    assert sorted(p.name for p in job.checkpoints.iterdir()) == ["001-000000050", "002-000000070"]


def test_only_the_newest_two_are_kept(job: JobFolder) -> None:
    for step in (5, 10, 15, 20):
        save(job, 1, step)

    assert sorted(p.name for p in job.checkpoints.iterdir()) == ["001-000000015", "001-000000020"]


@pytest.mark.parametrize("damage", ["flipped", "truncated", "no meta", "empty meta"])
def test_a_damaged_checkpoint_is_passed_over_aloud(
    job: JobFolder, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    save(job, 1, 5)
    newest = save(job, 1, 10)
    content = bytearray((newest / "state.pt").read_bytes())
    match damage:
        case "flipped":
            content[len(content) // 2] ^= 1
            (newest / "state.pt").write_bytes(content)
        case "truncated":
            (newest / "state.pt").write_bytes(content[:-10])
        case "no meta":
            (newest / "meta.json").unlink()
        case "empty meta":
            (newest / "meta.json").write_bytes(b"")

    state = checkpoint.load_newest(job)

    assert state["step"] == 5
    assert newest.name in capsys.readouterr().out


def test_what_was_never_published_is_no_checkpoint_and_is_cleared(job: JobFolder) -> None:
    (job.checkpoints / ".tmp-001-000000009-abc").mkdir()
    (job.checkpoints / ".tmp-001-000000009-abc" / "state.pt").write_bytes(b"half")
    (job.probes / ".tmp-x.npz-abc").write_bytes(b"half")

    assert checkpoint.load_newest(job) is None
    checkpoint.clear_leftovers(job)
    assert not list(job.checkpoints.iterdir())
    assert not list(job.probes.iterdir())


def test_a_checkpoint_that_holds_code_is_not_executed(job: JobFolder) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (print, ("executed",))

    checkpoint.save(job, job.attempt(1), 1, {"step": 1, "evil": Evil()})

    with pytest.raises(Exception, match=r"weights_only|Weights only"):
        checkpoint.load_newest(job)


def test_a_state_of_version_1_goes_on_with_what_it_knew_of_its_course(job: JobFolder) -> None:
    """It held a window of sums since the training point before, and the bad steps in a row."""
    folder = save(job, 1, 7)
    old = {"step": 7, "window": (6.0, 4, 3.0, 2), "nonfinite": 9, "w": torch.ones(2)}
    torch.save(old, folder / "state.pt")
    digest = hashlib.sha256((folder / "state.pt").read_bytes()).hexdigest()
    for meta in ({"schema": 1, "sha256": digest}, {"sha256": digest}):
        (folder / "meta.json").write_text(json.dumps({**meta, "step": 7}))

        state = checkpoint.load_newest(job)

        assert state is not None
        course = Course.from_plain(state["course"])
        assert state.keys() == {"step", "w", "course", "best"}
        assert course.end_window() == {"train/loss": 1.5, "train/grad_norm": 1.5}
        assert course.divergence is None
        course.take(Step(1.0, float("inf"), 2))
        assert course.divergence


def test_a_disk_that_takes_no_more_is_told_as_such_and_leaves_nothing(
    job: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyTorch has a RuntimeError about positions for whatever a write raises."""
    save(job, 1, 7)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    class Full(io.BytesIO):
        def write(self, _: object) -> int:
            raise full

    opened = Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, mode="r", *_: Full() if mode == "xb" else opened(path, mode)
    )

    with pytest.raises(OSError, match="No space left") as told:
        save(job, 1, 8)

    assert str(told.value.filename).endswith("state.pt")
    assert [path.name for path in job.checkpoints.iterdir()] == ["001-000000007"]
