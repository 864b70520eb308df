"""Code is edited while jobs wait; what they run, and what says so, with the real worker's claim."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.pool_bench import Bench, until

from orchestrator.jobs.code import package_files
from orchestrator.jobs.layout import AttemptFolder

pytestmark = pytest.mark.slow
TRAIN = """
import time
from orchestrator.jobs.facts import Ending
def train(share, config, stop):
    print("{words}", flush=True)
    go = share.me.root.path.parent / "control" / f"{{share.me.submission.names[share.me.index]}}.go"
    while not go.exists():
        time.sleep(0.02)
    return Ending.FINISHED
"""
"""What stands for a training, in a copy of our code that a person works on."""


@pytest.fixture
def desk(tmp_path: Path, digits: Path) -> Iterator[Bench]:
    """A root to be, beside ``code``: a copy of our packages that is worked on."""
    made = Bench(tmp_path, digits)
    (tmp_path / "control").mkdir()
    for name, source in package_files().items():
        (tmp_path / "code" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, tmp_path / "code" / name)
    yield made
    made.tear_down()


def edit(desk: Bench, words: str) -> None:
    engine = desk.folder / "code" / "orchestrator/worker/engine.py"
    engine.write_text(TRAIN.format(words=words))


def launch(desk: Bench, *cases: str, name: str) -> dict[str, str]:
    """From the copy, one job at a time; ids by name."""
    path = desk.sweep(*cases, name=name)
    path.write_text(path.read_text().replace("max_parallel: 2", "max_parallel: 1"))
    done = orchestrate(desk, "launch", str(path))
    assert f"{len(cases)} of {len(cases)} jobs submitted" in done
    return {case: desk.id_of(case) for case in cases}


def orchestrate(desk: Bench, *words: str) -> str:
    done = desk.orchestrate(*words, PYTHONPATH=str(desk.folder / "code"))
    assert done.returncode == 0, done.stderr
    return done.stdout


def claimed(desk: Bench, job: str) -> AttemptFolder:
    return until(lambda: desk.attempts_on(job), 60)[0]


def ran(attempt: AttemptFolder) -> str:
    """What the worker printed, once it has ended."""
    until(attempt.exit.exists, 60)
    return attempt.log(0).read_text()


def test_jobs_that_wait_run_the_code_of_their_launch_and_new_ones_todays(desk: Bench) -> None:
    edit(desk, "old code")
    old = launch(desk, "a", "b", name="before")
    first = claimed(desk, old["a"])
    edit(desk, "new code")
    waiting = desk.attempts_on(old["b"])

    new = launch(desk, "c", name="after")
    desk.go("a", "b", "c")
    second, third = claimed(desk, old["b"]), claimed(desk, new["c"])

    assert waiting == []
    assert "old code" in ran(first)
    assert "old code" in ran(second)
    assert "new code" in ran(third)
    codes = [json.loads(one.started.read_bytes())["code_hash"] for one in (first, second, third)]
    assert codes[0] == codes[1] != codes[2]
    snapshots = {folder.name for folder in desk.root.snapshots.iterdir()}
    assert len(snapshots) == 2
    paths = [json.loads(one.environment.read_bytes())["variables"] for one in (second, third)]
    assert {Path(told["PYTHONPATH"].split(":")[0]).name for told in paths} == snapshots
    assert ", code of no known commit." in orchestrate(desk, "why", "b")
    assert json.loads(second.environment.read_bytes())["executable"] == sys.executable
