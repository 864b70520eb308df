import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator.jobs.layout import JobFolder
from orchestrator.worker import records
from orchestrator.worker.records import SUPERSEDED, heartbeat


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    job = JobFolder(tmp_path)
    job.attempt(1).path.mkdir(parents=True)
    job.attempt(1).journal.write_text("{}\n")
    return job


def test_a_heart_beats_on_after_the_file_server_was_away(
    job: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "BEAT_S", 0.02)
    touch, failures = os.utime, [OSError(116, "Stale file handle")]

    def away_once(*words: object) -> None:
        if failures:
            raise failures.pop()
        touch(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "utime", away_once)
    touch(job.attempt(1).journal, (0, 0))
    with heartbeat(job, job.attempt(1)):
        deadline = time.monotonic() + 5
        while not job.attempt(1).journal.stat().st_mtime and time.monotonic() < deadline:
            time.sleep(0.01)

    assert not failures
    assert job.attempt(1).journal.stat().st_mtime > 0


def test_a_worker_that_finds_a_later_attempt_ends_at_once(job: JobFolder) -> None:
    job.attempt(2).path.mkdir()
    code = (
        "import sys; from pathlib import Path; from orchestrator.jobs.layout import JobFolder;"
        "from orchestrator.worker.records import leave_if_superseded as leave;"
        "job = JobFolder(Path(sys.argv[1])); leave(job, job.attempt(2)); print('newest');"
        "leave(job, job.attempt(1)); print('never')"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, str(job.path)], capture_output=True, text=True, check=False
    )

    assert done.returncode == SUPERSEDED
    assert done.stdout.splitlines() == ["newest", "attempt 2 took over; leaving"]
