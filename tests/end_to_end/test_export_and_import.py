"""A study is carried from one root to another: it is shown there, and nothing starts twice."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.pool_bench import Bench, until
from support.scene import Scene

from orchestrator.jobs.layout import Root

pytestmark = pytest.mark.slow
SCRIPTS = {
    "a": ("claim", 'point 10 {"val/top1": 90, "train/loss": 0.5}', "log hello", "finish"),
    "b": ("claim", 'point 3 {"val/top1": 10}', "fail no such key"),
    "c": ("claim", 'point 10 {"val/top1": "nan"}', "end diverged 0"),
    "p": ("claim", 'point 5 {"val/top1": 50}', "end stopped 75"),
    "r": ("claim", 'point 1 {"val/top1": 5}', "wait", "finish"),
    "s": ("claim", "wait", "finish"),
    "w": ("claim", "wait", "finish"),
}
OVER, AT_WORK = "abcp", "rsw"


def test_an_imported_study_shows_the_same_and_goes_on_but_for_what_still_runs_elsewhere(
    bench: Bench,
) -> None:
    for name, acts in SCRIPTS.items():
        bench.script(name, *acts)
    sweep, file = str(bench.sweep(*SCRIPTS)), str(bench.folder / "s.tar.gz")
    new = Root(bench.folder / "other")
    bench.orchestrate("launch", sweep)
    bench_is(bench, {"a": "DONE", "b": "FAILED", "c": "DONE", "p": "PREEMPTED", "w": "QUEUED"})

    def said(*words: str, root: Root = new, code: int = 0) -> str:
        done = bench.orchestrate(*words, ORCHESTRATE_ROOT=str(root.path))
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def shown(root: Root) -> dict[str, Any]:
        rows = json.loads(said("status", "s", "--json", root=root))["jobs"]
        told = {row["name"]: {**row, "handle": None} for row in rows if row["name"] in OVER}
        whys = {name: said("why", f"s/{name}", root=root) for name in OVER}
        results = said("results", "s", "--json", "--also", "train/loss", root=root)
        return {
            "rows": told,
            "why": whys,
            "results": results,
            "log": said("logs", "s/a", root=root),
        }

    done, kept = bench.id_of("a"), ("probes/001-000000010.npz", "predictions/001-000000010.npz")
    for name in kept:
        (bench.root.job(done).path / name).parent.mkdir(exist_ok=True)
        (bench.root.job(done).path / name).write_bytes(name.encode())
    exported = said("export", "s", file, root=bench.root)
    assert "2 DONE" in exported
    assert "3 of these still run or wait" in exported
    assert "7 new jobs" in said("import", file, "--dry-run")
    assert not new.path.exists()
    imported = said("import", file)
    assert "7 of 7 jobs were written" in imported
    assert "not over when it was exported, UNKNOWN here" in imported
    assert shown(new) == shown(bench.root)
    assert [(new.job(done).path / name).read_bytes().decode() for name in kept] == list(kept)
    assert "0 of 7 jobs were written" in said("import", file)

    states = {row["name"]: row["state"] for row in json.loads(said("status", "--json"))["jobs"]}
    assert states["w"] == "UNKNOWN"
    assert {states[name] for name in "rs"} <= {"RUNNING", "UNKNOWN"}
    assert "was imported" in said("watch", "s", "--once", code=1)
    said("watch", "--once")
    before = set(new.tokens())
    assert before == set(bench.root.tokens())

    shutil.copytree(bench.root.snapshots, new.snapshots)
    for name in "bp":
        bench.script(name, "claim", 'point 10 {"val/top1": 80}', "finish")
    assert "2 of 7 jobs submitted" in said("launch", sweep)
    (token,) = set(new.tokens()) - before
    intent = json.loads(new.submission(token).intent.read_bytes())
    assert sorted(intent["names"]) == ["b", "p"]
    until(lambda: "2 DONE" not in counts(said("status", "s", "--json")))
    bench.go(*AT_WORK)
    bench_is(bench, dict.fromkeys(AT_WORK, "DONE"))


def bench_is(bench: Bench, states: dict[str, str]) -> None:
    """Until its jobs are so."""

    def reached() -> bool:
        rows = json.loads(bench.orchestrate("status", "s", "--json").stdout)["jobs"]
        found = {row["name"]: row["state"] for row in rows}
        return all(found[name] == state for name, state in states.items())

    until(reached, 240)


def counts(status: str) -> str:
    return ", ".join(f"{n} {state}" for state, n in json.loads(status)["counts"].items())


def files(root: Path) -> dict[str, str]:
    """What a root holds, but for who it is, its lease, and when a sweep came."""
    found = {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file()}
    left_out = ("root.json", "lease", "cache", "sweeps/s/imported.json")
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in found.items()
        if not name.startswith(left_out) and ".tmp-" not in name
    }


@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.soak)])
def test_an_import_that_is_killed_at_any_step_starts_nothing_and_completes_when_run_again(
    scene: Scene, every: int
) -> None:
    scene.launch()
    scene.is_preempted("a")
    scene.starts("b")
    file, new = scene.folder / "s.tar.gz", scene.folder / "new"
    assert scene.orchestrate("export", "s", str(file)).code == 0
    other = {"ORCHESTRATE_ROOT": str(new)}
    whole = scene.orchestrate("import", str(file), more=other)
    assert whole.code == 0, whole.said
    wanted, asked = files(new), scene.asked()

    for step in range(0, len(whole.did), every):
        shutil.rmtree(new)
        where = f"killed at {step}, {whole.did[step]}"
        assert scene.orchestrate("import", str(file), more=other, at=step).code == -9, where
        if new.exists() and (new / "root.json").exists():
            scene.orchestrate("watch", "--once", more=other)
        again = scene.orchestrate("import", str(file), more=other)
        assert again.code == 0, f"{where}: {again.said}"
        assert files(new) == wanted, where
    assert not list(new.glob(".tmp-*"))
    assert scene.asked() == asked


def test_what_a_cluster_runs_is_shown_on_a_machine_without_one_and_not_started_there(
    scene: Scene,
) -> None:
    scene.launch()
    scene.is_preempted("a")
    scene.starts("b")
    scene.is_done("c")
    file = str(scene.folder / "s.tar.gz")
    assert scene.orchestrate("export", "s", file).code == 0
    laptop = {"ORCHESTRATE_ROOT": str(scene.folder / "new"), "PATH": "/nowhere"}
    assert scene.orchestrate("import", file, more=laptop).code == 0
    told = scene.orchestrate("status", "--json", more=laptop).json

    assert {row["name"]: row["state"] for row in told["jobs"]}["c"] == "DONE"
    assert {row["name"]: row["state"] for row in told["jobs"]}["b"] in ("RUNNING", "UNKNOWN")
    assert "results" in scene.orchestrate("why", "s/c", more=laptop).said
    assert scene.orchestrate("watch", "--once", more=laptop).code == 0
    assert scene.asked() == {"a": 1, "b": 1, "c": 1}
