from pathlib import Path

import pytest

from orchestrator.jobs.facts import Attempt, Ending, Start
from orchestrator.jobs.files import to_json
from orchestrator.jobs.layout import JobFolder
from orchestrator.jobs.weights import final_weights, is_sound

SHA256_OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    return JobFolder(tmp_path / "job")


def attempt(number: int, from_step: int | None, ending: Ending | None, step: int) -> Attempt:
    start = Start("t", 0, 0, 0.0, process="", host="h", code_hash="", facts={})
    return Attempt(number, start, from_step, ending, step, (), heartbeat=0.0, running=None)


def leave(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).mkdir(parents=True)


@pytest.mark.parametrize(
    ("weights", "checkpoint", "ending", "good"),
    [
        ("001-000000100", "001-000000100", Ending.FINISHED, True),
        ("001-000000100", "001-000000050", Ending.FINISHED, True),
        ("001-000000050", "001-000000100", Ending.FINISHED, False),
        ("001-000000050", "001-000000050", Ending.FINISHED, False),
        ("001-000000112", "001-000000112", Ending.DIVERGED, True),
        ("001-000000105", "001-000000112", Ending.DIVERGED, False),
        ("001-000000100", "001-000000100", Ending.STOPPED, False),
    ],
)
def test_final_weights_are_of_the_last_step_and_below_no_checkpoint(
    job: JobFolder, weights: str, checkpoint: str, ending: Ending, *, good: bool
) -> None:
    """A diverged job ends some steps beyond its last measurement, of step 100."""
    leave(job.weights, weights)
    leave(job.checkpoints, checkpoint)

    found = final_weights(job, [attempt(1, -1, ending, 100)])

    assert found == (job.weights / weights if good else None)


@pytest.mark.parametrize(
    ("content", "meta", "sound"),
    [
        (b"abc", {"sha256": SHA256_OF_ABC}, True),
        (b"abd", {"sha256": SHA256_OF_ABC}, False),
        (b"ab", {"sha256": SHA256_OF_ABC}, False),
        (b"abc", {}, False),
        (b"abc", None, False),
        (None, {"sha256": SHA256_OF_ABC}, False),
    ],
)
def test_weights_are_sound_if_they_are_what_was_published(
    tmp_path: Path, content: bytes | None, meta: dict[str, str] | None, *, sound: bool
) -> None:
    if content is not None:
        (tmp_path / "weights.pt").write_bytes(content)
    (tmp_path / "meta.json").write_bytes(b"{" if meta is None else to_json(meta))

    assert is_sound(tmp_path) == sound
