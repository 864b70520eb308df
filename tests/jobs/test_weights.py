from pathlib import Path

import pytest

from orchestrator.jobs.facts import Attempt, Ending, Start
from orchestrator.jobs.files import to_json
from orchestrator.jobs.layout import JobFolder
from orchestrator.jobs.weights import (
    are_older,
    final_weights,
    is_sound,
    kept_checkpoints,
    weights_at,
)

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


def test_weights_are_found_by_what_they_are_of_as_far_as_they_count(job: JobFolder) -> None:
    """The second attempt went on from step 150, and is over at 300."""
    of = {
        "001-000000100": {"epoch": 1},
        "001-000000200": {"epoch": 2},
        "002-000000150": {"epoch": 1},
        "002-000000300": {"epoch": 3},
        "002-000000250": None,
    }
    leave(job.weights, *of)
    leave(job.best, "001-000000200", "001-000000150", "001-000000100")
    for name, meta in of.items():
        (job.weights / name / "meta.json").write_bytes(b"{" if meta is None else to_json(meta))
    attempts = [attempt(1, -1, None, -1), attempt(2, 150, Ending.FINISHED, 300)]

    newest, resumed = "002-000000300", "002-000000150"
    wanted = {"last": newest, 1: resumed, 2: None, 3: newest}
    found = {what: weights_at(job, attempts, what) for what in wanted}

    assert found == {what: name and job.weights / name for what, name in wanted.items()}
    assert weights_at(job, attempts, "best") == job.best / "001-000000150"
    assert kept_checkpoints(job, attempts) == [1, 3, "best", "last"]


@pytest.mark.parametrize(
    ("left", "discarded", "older"),
    [
        ({"best": "abc"}, 0, False),
        ({"best": "abc"}, 1, False),
        ({"best": "abd"}, 1, True),
        ({"last": "abd"}, 0, False),
        ({"last": "abd"}, 1, True),
        ({}, 1, True),
        (None, 0, False),
        (None, 1, True),
    ],
)
def test_what_was_read_is_older_if_its_job_trained_anew_has_it_no_more(
    left: dict[str, str] | None, discarded: int, *, older: bool
) -> None:
    """Weights that are gone make nothing older where nothing was discarded."""
    assert are_older("abc", "best", left, discarded) is older
