"""What verbs cost in system calls and in files, where that must not grow with the jobs."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from unittest.mock import patch

import pytest
from fakes.place import attempt
from fakes.slurm import submission, submitted
from support.scene import Scene

from orchestrator.config import RunConfig
from orchestrator.jobs.facts import Ending
from orchestrator.jobs.files import publish, to_json
from orchestrator.jobs.journal import Header, JournalWriter
from orchestrator.jobs.layout import Root
from orchestrator.jobs.records import write_job
from orchestrator.jobs.store import create_root, write_revision
from orchestrator.jobs.submissions import write_outcomes

CONFIG = RunConfig.from_plain({"data": {"name": "digits"}})
SHARDS = 16
"""Folders ``jobs/<2>/`` that the jobs lie in; there are 256 at most, and each costs some calls."""
OF_A_SUBMISSION = 8
"""Its folder, logs and marks; script, intent, answer; two files of submitit."""


def ended_jobs(folder: Path, count: int) -> Root:
    """A root with so many finished jobs of sweep s."""
    root = create_root(folder / "runs")
    ids = [f"{number % SHARDS:02x}{number:030x}" for number in range(count)]
    with patch("os.fsync"):
        for job in ids:
            write_job(root, job, CONFIG)
        terms = {"executor": "slurm", "max_parallel": None, "data_root": "/data", "question": ""}
        jobs = [{"id": job, "name": job, "axes": {}, "shape": 0} for job in ids]
        shapes = [{"placement": {}, "resources": {}}]
        write_revision(root, "s", {"study": "s", **terms, "shapes": shapes, "jobs": jobs})
        one = submitted(root, submission(*ids))
        for job in ids:
            ran = attempt(root, job, one)
            with JournalWriter(ran.journal, Header(job, 1, None, 10)) as journal:
                journal.point(9, 1, {"val/top1": 1.0})
            publish(ran.exit, to_json({"end": Ending.FINISHED.value, "time": 9.0, "step": 9}))
        ends = [{"index": i, "time": 9.0, "started": True, "exit_code": 0} for i in range(count)]
        write_outcomes(root.submission(one.token), ends)
    return root


def calls_of_status(root: Root) -> Counter[str]:
    """Of a warm one, by name: those that concern a file of the root."""
    log = root.path.parent / "calls.txt"
    status = [sys.executable, "-m", "orchestrator.cli", "status", "s", "--json"]
    trace = ["strace", "-f", "-y", "-e", "trace=%file,%desc", "-o", str(log)]
    for words in (status, [*trace, *status]):
        environment = {**os.environ, "ORCHESTRATE_ROOT": str(root.path)}
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert '"DONE": ' in done.stdout
    lines = [line for line in log.read_text().splitlines() if str(root.path) in line]
    return Counter(found[1] for line in lines if (found := re.match(r"\d+ +(\w+)\(", line)))


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("strace"), reason="no strace here: apt-get install strace")
def test_the_file_operations_of_a_warm_status_do_not_grow_with_ended_jobs(tmp_path: Path) -> None:
    few, many = (calls_of_status(ended_jobs(tmp_path / str(n), n)) for n in (50, 500))

    assert few.total() >= SHARDS
    assert many == few


@pytest.mark.slow
def test_what_a_launch_writes_before_a_job_starts_does_not_grow_with_the_jobs(scene: Scene) -> None:
    scene.launch()  # makes what a root has once
    for new in ("d", "efghijklmnopqrstuvw"):
        before = set(scene.root.path.rglob("*"))
        scene.write(*new)
        scene.launch()
        made = set(scene.root.path.rglob("*")) - before
        arrays = {p for p in made if p.parent == scene.root.path / "submissions"}

        assert scene.asked() == dict.fromkeys(new, 1)
        assert len(made) <= 1 + OF_A_SUBMISSION * len(arrays)
        assert not list(scene.root.path.glob("jobs/*"))
