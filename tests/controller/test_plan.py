import json
from pathlib import Path

import pytest
from support.pool_bench import Bench, until

from orchestrator.controller.launch import launch
from orchestrator.controller.plan import as_json, plan
from orchestrator.controller.survey import survey
from orchestrator.errors import SpecError
from orchestrator.executors import EXECUTORS
from orchestrator.jobs.state import State
from orchestrator.sweep.cost import disk_of
from orchestrator.sweep.load import load_sweep


def tree(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


def test_a_plan_of_a_sweep_that_was_never_launched_is_all_of_it_and_writes_nothing(
    bench: Bench, tmp_path: Path
) -> None:
    sweep = bench.load("a", "b")
    elsewhere = tmp_path / "not" / "there"
    before = tree(tmp_path)

    planned = plan(sweep, root_path=elsewhere, data_root=bench.data)

    assert (planned.due, planned.counts) == (2, {State.PLANNED: 2})
    one = disk_of(sweep.points[0].config, sweep.points[0].placement)
    assert (planned.disk_peak, planned.disk_after_gc) == (2 * one.peak, 2 * one.after_gc)
    assert planned.disk_free > 0
    assert tree(tmp_path) == before


@pytest.mark.slow
def test_a_plan_is_what_the_next_launch_does(bench: Bench) -> None:
    bench.script("b", "claim", "fail no")
    first = bench.load("a", "b")
    where = {"root_path": bench.root.path, "data_root": bench.data}
    launch(first, **where)
    ids = [point.id for point in first.points]
    until(
        lambda: (
            {s.state for s in survey(bench.root, ids).statuses.values()}
            == {State.DONE, State.FAILED}
        )
    )
    wider = bench.load("a", "b", "c")

    planned = plan(wider, **where)

    assert planned.counts == {State.DONE: 1, State.FAILED: 1, State.PLANNED: 1}
    document = json.loads(json.dumps(as_json(wider, planned)))
    assert [job["state"] for job in document["jobs"]] == ["DONE", "FAILED", "PLANNED"]
    assert document["jobs"][2]["config"] == wider.points[2].config.to_plain()
    assert planned.due == len(launch(wider, **where).submitted) == 2


def test_a_plan_refuses_what_a_launch_refuses(bench: Bench, tmp_path: Path) -> None:
    path = bench.sweep("a")
    seven = load_sweep(path, overrides=["model.num_classes=7"], executors=EXECUTORS)

    with pytest.raises(SpecError, match=r"model.num_classes 7, but dataset 'digits' has 10"):
        plan(seven, root_path=tmp_path / "runs", data_root=bench.data)


@pytest.mark.slow
def test_plan_on_the_command_line_shows_the_very_script(bench: Bench) -> None:
    sweep = str(bench.sweep("a", "b"))

    told = bench.orchestrate("plan", sweep, "--script").stdout
    document = json.loads(bench.orchestrate("plan", sweep, "--json").stdout)

    assert told.startswith("s: a launch would submit 2 of 2 jobs\n  2 PLANNED\n")
    assert "2 to be submitted alike, such as a\n#!/bin/sh" in told
    assert "once all is done and orchestrate gc was called" in told
    assert document["counts"] == {"PLANNED": 2}
    assert document["disk"]["peak"] > document["disk"]["after_gc"] > 0
