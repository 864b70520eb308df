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
from importlib import import_module
from model.variants import package_of
from orchestrator.jobs.facts import Ending
def train(share, config, stop):
    print("{words}", flush=True)
    if package := package_of(config.model.attention):
        print(import_module(f"{{package}}.shifted").WORDS, flush=True)
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
    return until(lambda: desk.attempts_on(job), 240)[0]


def ran(attempt: AttemptFolder) -> str:
    """What the worker printed, once it has ended."""
    until(attempt.exit.exists, 240)
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


PACKAGE = """
from model.variants import VARIANTS as OURS, Variant
softmax = OURS["softmax"]
VARIANTS = {
    "shifted": Variant(
        location="mine.shifted:Shifted", macs=softmax.macs, params=softmax.params, description="x"
    )
}
"""
MINE = """
name: mine
packages: [mine]
set:
  data: {name: digits}
  model: {img_size: 8, patch_size: 4, in_chans: 1, num_classes: 10, dim: 16, depth: 1, heads: 2}
  train: {epochs: 1, batch_size: 96, chunk: 32}
placement: {device: cpu}
max_parallel: 1
grid:
  - cases:
      a: {model.attention: mine.shifted}
      b: {model.attention: mine.shifted, optim.lr: 2e-3}
      c: {optim.lr: 3e-3}
"""


@pytest.fixture
def mine(desk: Bench) -> Path:
    """A package of the user's own, and a sweep of which jobs a and b are of it."""
    edit(desk, "ours")
    folder = desk.folder / "mine"
    folder.mkdir()
    (folder / "__init__.py").write_text(PACKAGE)
    (folder / "shifted.py").write_text("WORDS = 'as launched'\n")
    (desk.folder / "mine.yaml").write_text(MINE)
    return folder


def told(desk: Bench) -> dict[str, tuple[str, bool, str]]:
    jobs = json.loads(orchestrate(desk, "status", "--json"))["jobs"]
    return {job["name"]: (job["state"], job["older_code"], job["reason"]) for job in jobs}


def test_a_users_package_is_frozen_with_the_launch_and_its_edits_flag_its_own_jobs_only(
    desk: Bench, mine: Path
) -> None:
    orchestrate(desk, "launch", "mine.yaml")
    ids = {name: desk.id_of(name) for name in "abc"}
    claimed(desk, ids["a"])
    (mine / "shifted.py").write_text("WORDS = 'edited'\n")
    waiting = desk.attempts_on(ids["b"])

    desk.go("a", "b", "c")
    second, third = claimed(desk, ids["b"]), claimed(desk, ids["c"])

    assert waiting == []
    assert "as launched" in ran(second)
    until(third.exit.exists, 240)
    code = {job: json.loads(desk.attempts_on(ids[job])[0].started.read_bytes()) for job in ids}
    assert code["a"]["code_hash"] == code["b"]["code_hash"]
    assert code["a"]["code_hash"].split("-")[0] == code["c"]["code_hash"]
    until(lambda: {state for state, *_ in told(desk).values()} == {"DONE"}, 240)
    assert told(desk) == {
        "a": ("DONE", True, ""),
        "b": ("DONE", True, ""),
        "c": ("DONE", False, ""),
    }
    assert "2 of them by older code" in orchestrate(desk, "launch", "mine.yaml")
    (mine / "shifted.py").write_text("WORDS = 'as launched'\n")
    assert {older for _, older, _ in told(desk).values()} == {False}
    shutil.rmtree(mine)
    unknown = ("DONE", False, "today's code of its package mine is not known")
    assert told(desk) == {"a": unknown, "b": unknown, "c": ("DONE", False, "")}
    assert ", code of no known commit, mine: code of no known commit." in orchestrate(
        desk, "why", "a"
    )


def test_a_job_whose_package_is_gone_can_be_looked_at_moved_and_cleaned_but_not_retried(
    desk: Bench, mine: Path, tmp_path: Path
) -> None:
    (mine / "shifted.py").write_text("raise ValueError('not yet')\n")
    orchestrate(desk, "launch", "mine.yaml")
    desk.go("c")
    until(lambda: {state for state, *_ in told(desk).values()} == {"FAILED", "DONE"}, 240)
    shutil.rmtree(mine)

    gone = desk.orchestrate("retry", "mine", PYTHONPATH=str(desk.folder / "code"))

    assert (gone.returncode, gone.stdout) == (1, "")
    assert f"The package mine is not at {mine} any more. Put it back" in gone.stderr
    again = desk.orchestrate("launch", "mine.yaml", PYTHONPATH=str(desk.folder / "code"))
    assert "mine.yaml:3: packages: " in again.stderr
    assert "is no package: it has no __init__.py" in again.stderr
    assert "not yet" in orchestrate(desk, "why", "a")
    orchestrate(desk, "results", "mine", "--metric", "val/top1")
    orchestrate(desk, "gc", "--yes")
    orchestrate(desk, "export", "mine", str(tmp_path / "mine.tar.gz"))
    orchestrate(desk, "import", str(tmp_path / "mine.tar.gz"), "--root", str(tmp_path / "other"))
    there = json.loads(orchestrate(desk, "status", "--json", "--root", str(tmp_path / "other")))
    assert there["counts"] == {"FAILED": 2, "DONE": 1}
