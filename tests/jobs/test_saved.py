from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.jobs.facts import Attempt, Start
from orchestrator.jobs.layout import JobFolder
from orchestrator.jobs.probes import probe_file, probes_by_step
from orchestrator.jobs.saved import saved_in, still_count


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    return JobFolder(tmp_path / "job")


def attempt(number: int, from_step: int | None) -> Attempt:
    start = Start("t", 0, 0, 0.0, process="", host="h", code_hash="", facts={})
    return Attempt(number, start, from_step, None, -1, (), heartbeat=0.0, running=None)


def leave(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).mkdir(parents=True)


def test_what_an_attempt_left_beyond_the_step_that_a_later_one_went_on_from_does_not_count(
    job: JobFolder,
) -> None:
    leave(job.weights, "001-000000010", "001-000000030", "002-000000020", ".tmp-003-000000040-x")

    found = still_count(saved_in(job.weights), (attempt(1, -1), attempt(2, 10), attempt(3, None)))

    assert [(one.step, one.attempt) for one in found] == [(10, 1), (20, 2)]


def test_nothing_of_a_discarded_attempt_counts_though_no_later_one_has_begun(
    job: JobFolder,
) -> None:
    leave(job.checkpoints, "001-000000010", "002-000000020", "003-000000015")
    discarded = [replace(attempt(number, -1), discarded=True) for number in (1, 2)]

    found = still_count(saved_in(job.checkpoints), (*discarded, attempt(3, None)))

    assert [one.attempt for one in found] == [3]
    assert still_count(saved_in(job.checkpoints), discarded[:2])[0].attempt == 3


def test_probes_follow_the_same_rule(job: JobFolder) -> None:
    job.probes.mkdir(parents=True)
    for number, step in ((1, 10), (1, 20), (1, 30), (2, 20)):
        probe_file(job.probes, number, step).touch()
    attempts = (attempt(1, -1), attempt(2, 10))

    names = [path.stem for path in probes_by_step(job.probes, attempts).values()]

    assert names == ["001-000000010", "002-000000020"]
