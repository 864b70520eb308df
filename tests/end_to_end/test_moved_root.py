"""A root in which nothing runs may be moved: everything is as it was, and goes on."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.pool_bench import Bench, until
from support.shown import plant_store, statuses

from orchestrator.jobs.layout import Root

SCRIPTS = {
    "a": ("claim", 'point 10 {"val/top1": 90}', "log hello from a", "finish"),
    "b": ("claim", 'point 3 {"val/top1": 10}', "fail no such key"),
    "c": ("claim", 'point 5 {"val/top1": 50}', "end stopped 75"),
}


@pytest.mark.slow
def test_a_moved_root_is_shown_relaunched_and_mirrored_as_if_it_had_always_been_there(
    bench: Bench, empty_store: Path
) -> None:
    for job, acts in SCRIPTS.items():
        bench.script(job, *acts)
    sweep = str(bench.sweep(*SCRIPTS))
    plant_store(bench.root, empty_store)
    bench.orchestrate("launch", sweep)
    until(lambda: bench.pools() and not any(log.process.alive() for log in bench.pools()))
    assert bench.orchestrate("sync").returncode == 0
    new = Root(bench.folder / "an archive, 100% Ann's")

    def said(*words: str, root: Root = new) -> str:
        done = bench.orchestrate(*words, ORCHESTRATE_ROOT=str(root.path))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def shown(root: Root) -> dict[str, Any]:
        looks = (("status", "s", "--json"), ("results", "s", "--json"), ("logs", "s/a"))
        whys = (("why", f"s/{job}") for job in SCRIPTS)
        return {" ".join(words): said(*words, root=root) for words in (*looks, *whys)}

    before = shown(bench.root)
    bench.root.path.rename(new.path)
    assert shown(new) == before
    states = {job["name"]: job["state"] for job in json.loads(before["status s --json"])["jobs"]}
    assert states == {"a": "DONE", "b": "FAILED", "c": "PREEMPTED"}
    assert "0 runs brought up to date" in said("sync")

    for job in "bc":
        bench.script(job, "claim", 'point 10 {"val/top1": 80}', "finish")
    told = said("launch", sweep, "--wait")
    assert "2 of 3 jobs submitted" in told
    said("sync")
    assert statuses(new, "s") == dict.fromkeys(SCRIPTS, "FINISHED")
    assert not bench.root.path.exists()
