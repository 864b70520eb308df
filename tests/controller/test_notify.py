import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes.place import CONFIG
from support.pool_bench import Bench, until

from orchestrator.config import Placement
from orchestrator.controller import notify as telling
from orchestrator.controller.notify import told_of_missing_program
from orchestrator.controller.watch import tend_all
from orchestrator.executors import EXECUTORS
from orchestrator.jobs.events import read_events, untold
from orchestrator.jobs.facts import Ending
from orchestrator.jobs.files import publish, to_json
from orchestrator.jobs.layout import Root
from orchestrator.jobs.lease import leased
from orchestrator.jobs.records import form_of, id_of, write_job
from orchestrator.jobs.store import REVISION_SCHEMA, create_root, mark_imported, write_revision
from orchestrator.sweep.load import load_sweep

KEEP = """#!{python}
import json, os, sys
with open({kept!r}, "a") as kept:
    kept.write(json.dumps({{**json.load(sys.stdin), "event_": os.environ["ORCHESTRATE_EVENT"],
        "message_": os.environ["ORCHESTRATE_MESSAGE"], "root_": os.environ["ORCHESTRATE_ROOT"],
        "sweep_": os.environ["ORCHESTRATE_SWEEP"], "here": os.getcwd()}}) + "\\n")
print("kept it")
{more}
"""
WATCH = "from orchestrator.cli.main import main; main()"
DIE_BEFORE = (
    "import os; from orchestrator.controller import notify\n"
    "notify._tell = lambda *_: os.kill(os.getpid(), 9)\n" + WATCH
)
"""A watch that is killed once it has written down what happened, and has told nobody."""


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return create_root(tmp_path / "runs")


def over(root: Root, command: list[str], **more: Any) -> None:
    """Sweep s, whose one job has finished, tells this command."""
    form = form_of(CONFIG)
    job = id_of(form)
    write_job(root, job, CONFIG)
    folder = root.job(job).attempt(1)
    start = {"token": "t", "index": 0, "restart": 0, "code_hash": "c0de", "time": time.time()}
    publish(folder.started, to_json({**start, "process": "", "host": "node7"}))
    publish(folder.exit, to_json({"end": Ending.FINISHED.value, "time": time.time()}))
    revision = {
        "schema": REVISION_SCHEMA,
        "name": "s",
        "study": "a study",
        "executor": "local",
        "max_parallel": None,
        "data_root": "/data",
        "cluster": None,
        "snapshot": "c0de",
        "shapes": [{"placement": Placement(device="cpu").to_plain(), "resources": {}}],
        "jobs": [{"id": job, "name": "a", "axes": {}, "shape": 0, "form": form}],
        "notify": {"command": command, "folder": str(root.path.parent)},
    }
    write_revision(root, "s", {**revision, **more})


def keeper(folder: Path, more: str = "") -> list[str]:
    """A command that keeps what it is told in ``kept``."""
    program = folder / "keep.py"
    program.write_text(KEEP.format(python=sys.executable, kept=str(folder / "kept"), more=more))
    program.chmod(0o755)
    return ["./keep.py"]


def kept(folder: Path) -> list[dict[str, Any]]:
    path = folder / "kept"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def watch(root: Root, program: str = WATCH) -> subprocess.Popen[bytes]:
    words = ["watch", "s", "--once", "--root", str(root.path)]
    return subprocess.Popen([sys.executable, "-c", program, *words], start_new_session=True)


def test_a_command_reads_what_happened_as_json_and_in_its_environment(
    root: Root, tmp_path: Path
) -> None:
    over(root, keeper(tmp_path))

    looks = [tend_all(root, ["s"]) for _ in range(3)]

    assert looks[0].settled
    (told,) = kept(tmp_path)
    assert told.pop("time") == pytest.approx(time.time(), abs=60)
    message = "Sweep s has ended: 1 DONE."
    assert told == {
        "schema": 1,
        "id": f"{root.id()}-s-1",
        "event": "ended",
        "sweep": "s",
        "study": "a study",
        "message": message,
        "counts": {"DONE": 1},
        "failed": 0,
        "gpu_hours": 0,
        "max_gpu_hours": None,
        "root": str(root.path),
        "next": f"orchestrate results s --root {root.path}",
        "here": str(tmp_path),
        "event_": "ended",
        "message_": message,
        "sweep_": "s",
        "root_": str(root.path),
    }
    log = root.notify_log("s").read_text()
    assert re.fullmatch(rf"-- \S+ \S+ event 1, ended: {re.escape(message)}\nkept it\n", log)


HANGS = "import subprocess, sys, time; subprocess.run(['sleep', '60'])"


@pytest.mark.parametrize(
    ("command", "trouble"),
    [
        (["./not-here"], "cannot be started: No such file or directory"),
        ([sys.executable, "-c", "import sys; sys.exit('no network')"], "ended with 1"),
        ([sys.executable, "-c", HANGS], "took more than 0.5 s and was killed"),
        (["sh", "-c", "kill -9 $$"], "ended with -9"),
    ],
    ids=["missing", "fails", "hangs", "is killed"],
)
def test_a_command_that_fails_costs_one_line_and_is_not_run_again(
    root: Root,
    command: list[str],
    trouble: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(telling, "LIMIT_S", 0.5)
    over(root, command)

    looks = [tend_all(root, ["s"]) for _ in range(2)]

    assert [(look.settled, look.notes) for look in looks] == [(True, ()), (True, ())]
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("notify of s: ")
    assert f" {trouble}. See: {root.notify_log('s')}" in line
    assert "\n" not in line


def test_all_that_a_command_started_is_killed_with_it(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "LIMIT_S", 1.0)
    over(root, ["sh", "-c", f"sleep 60 & echo $! > {tmp_path}/child; wait"])

    tend_all(root, ["s"])

    child = int((tmp_path / "child").read_text())
    until(lambda: not Path(f"/proc/{child}/exe").exists())


def test_a_command_that_does_not_read_what_it_is_told_is_no_trouble(
    root: Root, caplog: pytest.LogCaptureFixture
) -> None:
    over(root, ["true"])
    tend_all(root, ["s"])

    assert caplog.records == []
    assert untold(root, "s") == {}


def test_the_profile_of_the_cluster_names_a_command_for_sweeps_that_have_none(
    root: Root, tmp_path: Path
) -> None:
    keeper(tmp_path)
    site = {"name": "alpha", "partitions": {"a": {}}, "notify": [str(tmp_path / "keep.py")]}
    over(root, [], notify=None, cluster=site)
    tend_all(root, ["s"])

    (told,) = kept(tmp_path)
    assert told["here"] == str(root.path)


def test_the_command_of_an_imported_sweep_is_not_run(root: Root, tmp_path: Path) -> None:
    over(root, keeper(tmp_path))
    mark_imported(root, "s", 1, "another root")
    tend_all(root, ["s"])

    assert kept(tmp_path) == []


def test_a_watch_goes_on_while_another_one_tells(root: Root, tmp_path: Path) -> None:
    over(root, keeper(tmp_path))
    with leased(root.notify_lease("s"), "notify"):
        (look,) = [tend_all(root, ["s"])]

    assert not look.settled
    assert "is held by 'notify'" in look.notes[0]
    assert kept(tmp_path) == []
    assert tend_all(root, ["s"]).settled
    assert len(kept(tmp_path)) == 1


def test_a_damaged_event_costs_a_line(root: Root, caplog: pytest.LogCaptureFixture) -> None:
    over(root, ["true"])
    publish(root.events("s") / "001.json", b"{")

    assert tend_all(root, ["s"]).settled
    assert "001.json is damaged" in caplog.records[0].getMessage()


def test_a_program_that_is_not_here_is_told_at_the_launch(bench: Bench) -> None:
    there, lost = (bench.load("a", text=f"notify: {word} x\n") for word in ("sh", "gone-9"))

    assert told_of_missing_program(there, None) == []
    (words,) = told_of_missing_program(lost, None)
    assert words.startswith("notify: there is no program gone-9 on this machine")
    assert told_of_missing_program(replace(lost, notify=None), None) == []


def test_a_command_is_what_the_nearest_file_says_and_runs_beside_it(bench: Bench) -> None:
    program = bench.folder / "base" / "tell"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (program.parent / "all.yaml").write_text("notify: ./tell 'my team' $HOME\n")
    sweep = bench.load("a", text="extends: base/all.yaml\n")

    assert sweep.notify is not None
    assert sweep.notify.words == ("./tell", "my team", "$HOME")
    assert sweep.notify.folder == program.parent


@pytest.mark.slow
def test_a_watch_that_is_killed_before_it_told_leaves_that_to_the_next(
    root: Root, tmp_path: Path
) -> None:
    over(root, keeper(tmp_path))

    assert watch(root, DIE_BEFORE).wait() == -signal.SIGKILL
    assert kept(tmp_path) == []
    assert [event.event for event in untold(root, "s").values()] == ["ended"]
    assert watch(root).wait() == 0
    assert watch(root).wait() == 0

    assert len(kept(tmp_path)) == 1


@pytest.mark.slow
def test_a_watch_that_is_killed_while_it_tells_is_followed_by_one_that_tells_again(
    root: Root, tmp_path: Path
) -> None:
    once = "if not os.path.exists('killed'):\n    open('killed', 'w')\n    os.kill(os.getppid(), 9)"
    over(root, keeper(tmp_path, more=once))

    assert watch(root).wait() == -signal.SIGKILL
    assert watch(root).wait() == 0
    assert watch(root).wait() == 0

    first, second = (told["id"] for told in kept(tmp_path))
    assert first == second


@pytest.mark.slow
def test_of_several_watches_at_once_one_tells(root: Root, tmp_path: Path) -> None:
    over(root, keeper(tmp_path, more="import time; time.sleep(0.5)"))

    watches = [watch(root) for _ in range(4)]

    assert {one.wait() for one in watches} <= {0, 4}
    assert len(read_events(root, "s")) == 1
    assert len(kept(tmp_path)) == 1


@pytest.mark.slow
def test_a_watch_that_is_interrupted_takes_its_command_along(root: Root, tmp_path: Path) -> None:
    over(root, ["sh", "-c", f"echo $$ > {tmp_path}/shell; sleep 60"])
    one = watch(root)
    until((tmp_path / "shell").exists)
    os.kill(one.pid, signal.SIGINT)
    one.wait(timeout=60)

    shell = int((tmp_path / "shell").read_text())
    until(lambda: not Path(f"/proc/{shell}/exe").exists())
    assert len(untold(root, "s")) == 1


@pytest.mark.slow
def test_a_sweep_tells_what_becomes_of_it_on_a_pool(bench: Bench) -> None:
    for name in "ab":
        bench.script(name, "claim", "fail no such layer")
    command = json.dumps(keeper(bench.folder))
    path = bench.sweep(*"abcd", text=f"max_failures: 2\nnotify: {command}\nmax_parallel: 1\n")
    path.write_text(path.read_text().replace("max_parallel: 2\n", ""))

    ended = bench.orchestrate("launch", str(path), "--wait")

    told = kept(bench.folder)
    assert ended.returncode == 3
    assert [one["event"] for one in told][-1] == "ended"
    assert "failures" in [one["event"] for one in told]
    assert told[0]["next"].startswith("orchestrate failures s --root ")
    assert told[-1]["failed"] == 2


@pytest.mark.slow
def test_a_budget_that_is_spent_holds_what_has_not_started_until_it_is_raised(
    bench: Bench,
) -> None:
    for name in "abc":
        bench.script(name, "claim 8", "wait", "finish")  # 8 GPUs there, of which a job has one
    text = f"max_gpu_hours: 1.0e-4\nnotify: {json.dumps(keeper(bench.folder))}\n"
    path = bench.sweep(*"abc", text=text)
    path.write_text(path.read_text().replace("device: cpu", "device: auto"))

    def go(*more: str) -> subprocess.CompletedProcess[str]:
        return bench.orchestrate("launch", str(path), *more)

    def states() -> list[str]:
        return sorted(tend_all(bench.root, ["s"]).found.statuses[job].state for job in jobs)

    jobs = [point.id for point in load_sweep(path, executors=EXECUTORS).points]
    assert go().returncode == 0
    journals = "jobs/*/*/attempts/001/journal.jsonl"
    begun = until(lambda: len(found := [*bench.root.path.glob(journals)]) == 2 and found)
    time.sleep(0.4)
    for journal in begun:
        journal.touch()  # the heartbeat
    first = tend_all(bench.root, ["s"])
    until(lambda: states() == ["PLANNED", "RUNNING", "RUNNING"])  # the pool has given it back
    bench.go(*"abc")
    until(lambda: (look := tend_all(bench.root, ["s"])).settled and look)

    assert first.notes[0].startswith("1 job(s) held: the jobs of s have spent 0.000")
    assert states() == ["DONE", "DONE", "PLANNED"]
    assert [one["event"] for one in kept(bench.folder)] == ["budget", "ended"]
    refused = go()
    assert refused.returncode == 1
    assert "Sweep 's' has spent 0.000" in refused.stderr
    assert "GPU-hours more for 1 jobs (1 of 1 jobs are of unknown cost" in refused.stderr
    assert "together more than max_gpu_hours 0.0001. Nothing was launched." in refused.stderr
    assert go("--max-gpu-hours", "1").returncode == 0
    until(lambda: (look := tend_all(bench.root, ["s"])).settled and look)
    assert [one["event"] for one in kept(bench.folder)] == ["budget", "ended", "ended"]
