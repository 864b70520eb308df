import json
from pathlib import Path

import pytest
from fakes.slurm import FakeSlurm, profile
from support.pool_bench import Bench, until

from orchestrator.controller.launch import launch
from orchestrator.controller.plan import plan
from orchestrator.controller.planned import as_json
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
    document = json.loads(json.dumps(as_json(planned)))
    assert [job["state"] for job in document["jobs"]] == ["DONE", "FAILED", "PLANNED"]
    assert document["jobs"][2]["config"] == wider.points[2].config.to_plain()
    assert planned.due == len(launch(wider, **where).submitted) == 2


def test_a_plan_refuses_what_a_launch_refuses(bench: Bench, tmp_path: Path) -> None:
    path = bench.sweep("a")
    seven = load_sweep(path, overrides=["model.num_classes=7"], executors=EXECUTORS)

    with pytest.raises(SpecError, match=r"model.num_classes 7, but dataset 'digits' has 10"):
        plan(seven, root_path=tmp_path / "runs", data_root=bench.data)


def test_a_plan_tells_what_decoded_images_take_on_a_node(bench: Bench, tmp_path: Path) -> None:
    path = bench.sweep("a")
    sweep = load_sweep(path, overrides=["data.decoded_px=6"], executors=EXECUTORS)

    planned = plan(sweep, root_path=tmp_path / "runs", data_root=bench.data)

    assert planned.decoded == {("digits", 6): 1347 * 6 * 8}
    wanted = [{"dataset": "digits", "px": 6, "bytes": 1347 * 6 * 8}]
    assert as_json(planned)["decoded"] == wanted


@pytest.mark.slow
def test_plan_on_the_command_line_shows_the_very_script(bench: Bench) -> None:
    sweep = str(bench.sweep("a", "b"))

    told = bench.orchestrate("plan", sweep, "--script").stdout
    document = json.loads(bench.orchestrate("plan", sweep, "--json").stdout)

    assert told.startswith("s: a launch would submit 2 of 2 jobs\n  2 PLANNED\n")
    assert "2 to be submitted alike, such as a: would be taken (local)\n#!/bin/sh" in told
    assert "once all is done and orchestrate gc was called" in told
    assert document["counts"] == {"PLANNED": 2}
    assert document["disk"]["peak"] > document["disk"]["after_gc"] > 0


def test_a_plan_tells_of_each_value_of_an_axis_how_many_jobs_are_in_which_state(
    bench: Bench, tmp_path: Path
) -> None:
    sweep = bench.load("a", "b", seeds=[0, 1])

    planned = plan(sweep, root_path=tmp_path / "none", data_root=bench.data)

    rows = [(row.axis, row.value, dict(row.counts)) for row in planned.by_axis()]
    two = {State.PLANNED: 2}
    assert rows == [("case", "a", two), ("case", "b", two), ("seed", "0", two), ("seed", "1", two)]
    document = as_json(planned)
    assert [one["counts"] for one in document["axes"]] == [{"PLANNED": 2}] * 4
    assert document["unknown"] == len(planned.estimates) == 4
    assert (document["gpu_hours"], document["finish"]) == (0.0, None)
    assert {job["hours"] for job in document["jobs"]} == {None}


def test_a_plan_tells_what_its_place_would_say_to_each_shape(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    slurm = FakeSlurm(bench.folder / "site", monkeypatch)
    sweep = load_sweep(bench.sweep("a", "b"), executor="slurm", executors=EXECUTORS)
    where = {"root_path": bench.folder / "new", "data_root": bench.data, "cluster": profile()}
    (taken,) = plan(sweep, **where).shapes
    slurm.answer("sbatch", errors="sbatch: error: Invalid qos specification", code=1)

    (refused,) = plan(sweep, **where).shapes

    assert (taken.jobs, taken.refusals, "#SBATCH --array=0-1" in taken.script) == (2, [], True)
    assert "Invalid qos specification" in refused.refusals[0]
    assert "#SBATCH --array=0-1" in refused.script
    elsewhere = load_sweep(
        bench.sweep("a", text="resources: {partition: nono}\n"),
        executor="slurm",
        executors=EXECUTORS,
    )
    with pytest.raises(SpecError, match="there is no partition 'nono'"):
        plan(elsewhere, **where)
