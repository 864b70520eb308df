import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.pool_bench import Bench, kill, until

from orchestrator.controller.cancel import cancel, cancellable
from orchestrator.controller.launch import launch
from orchestrator.controller.launched import Launched
from orchestrator.controller.select import select
from orchestrator.controller.status import look_at, rows_of
from orchestrator.controller.survey import Survey, survey
from orchestrator.controller.watch import is_settled, tend
from orchestrator.errors import DataError, OrchestrateError, Refused, RootError, SpecError
from orchestrator.executors import EXECUTORS
from orchestrator.jobs.facts import JobFacts
from orchestrator.jobs.rules import RULES
from orchestrator.jobs.state import JobStatus, State
from orchestrator.jobs.submissions import Submission
from orchestrator.sweep.expand import Sweep
from orchestrator.sweep.load import load_sweep

pytestmark = pytest.mark.slow

LAUNCH = """
import os, signal, sys
from pathlib import Path
from orchestrator.controller import launch, submit
from orchestrator.executors import EXECUTORS
from orchestrator.executors.local import LocalExecutor
from orchestrator.sweep.load import load_sweep
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
{fault}
sweep, root, data = sys.argv[1:]
done = launch.launch(load_sweep(sweep, executors=EXECUTORS), root_path=Path(root),
                     data_root=Path(data))
print(len(done.submitted))
"""


def go(bench: Bench, sweep: Sweep) -> Launched:
    return launch(sweep, root_path=bench.root.path, data_root=bench.data)


def starting(bench: Bench, path: Path, fault: str = "") -> subprocess.Popen[str]:
    words = [str(path), str(bench.root.path), str(bench.data)]
    return subprocess.Popen(
        [sys.executable, "-c", LAUNCH.format(fault=fault), *words],
        stdout=subprocess.PIPE,
        text=True,
    )


def states(bench: Bench, sweep: Sweep) -> dict[str, State]:
    found = survey(bench.root, [point.id for point in sweep.points])
    return {point.name: found.statuses[point.id].state for point in sweep.points}


def all_are(bench: Bench, sweep: Sweep, state: State) -> Callable[[], bool]:
    return lambda: set(states(bench, sweep).values()) == {state}


def starts(bench: Bench, sweep: Sweep) -> dict[str, int]:
    return {point.name: len(bench.attempts_on(point.id)) for point in sweep.points}


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def settle(bench: Bench, sweep: Sweep) -> dict[str, State]:
    until(lambda: is_settled(tend(bench.root, sweep.name)))
    return states(bench, sweep)


def test_launching_twice_submits_nothing_the_second_time(bench: Bench) -> None:
    bench.script("a", "claim", "wait", "finish")
    sweep = bench.load("a", "b", "c")
    first = go(bench, sweep)
    again = go(bench, sweep)
    bench.go("a")
    until(all_are(bench, sweep, State.DONE))
    last = go(bench, sweep)

    assert len(first.submitted) == 3
    assert again.submitted == last.submitted == ()
    assert sum(again.left_alone.values()) == 3
    assert last.left_alone == {State.DONE: 3}
    assert len(bench.root.submissions()) == 1
    assert first.revision == last.revision


def test_one_value_more_is_exactly_its_points(bench: Bench) -> None:
    go(bench, bench.load("a", "b", seeds=[0, 1]))
    wider = bench.load("a", "b", "c", seeds=[0, 1])

    added = go(bench, wider)

    new = {point.id for point in wider.points if point.axes["case"] == "c"}
    assert set(added.submitted) == new
    until(all_are(bench, wider, State.DONE))
    assert set(starts(bench, wider).values()) == {1}


def test_a_point_that_another_sweep_trained_is_not_trained_again(bench: Bench) -> None:
    one, two = bench.load("a", "b", name="one"), bench.load("b", "c", name="two")
    go(bench, one)
    until(all_are(bench, one, State.DONE))

    second = go(bench, two)

    assert second.submitted == (two.points[1].id,)
    assert second.left_alone == {State.DONE: 1}


def test_a_cancelled_job_stays_so_until_it_is_launched_again(bench: Bench) -> None:
    bench.script("a", "claim", "wait", "finish")
    sweep = bench.load("a", "b", "c")
    go(bench, sweep)
    until(lambda: starts(bench, sweep)["a"])
    job = sweep.points[0].id
    until(lambda: states(bench, sweep) == {"a": "RUNNING", "b": "DONE", "c": "DONE"})
    cancel(bench.root, [job], "too slow")
    until(lambda: states(bench, sweep)["a"] is State.CANCELLED)
    for _ in range(3):
        assert tend(bench.root, "s").statuses[job].state is State.CANCELLED
    assert cancellable(bench.root, [point.id for point in sweep.points]) == []

    bench.go("a")
    again = go(bench, sweep)

    assert again.submitted == (job,)
    until(all_are(bench, sweep, State.DONE))
    assert starts(bench, sweep) == {"a": 2, "b": 1, "c": 1}


def test_a_planned_job_that_a_watch_would_submit_can_be_cancelled(bench: Bench) -> None:
    sweep = bench.load("a")
    bench.script("a", "claim", "wait")
    go(bench, sweep)
    until(lambda: starts(bench, sweep)["a"])
    kill(bench.pools()[0].process)
    kill(bench.pools()[0].started[0].process)
    until(lambda: states(bench, sweep)["a"] is State.PREEMPTED)

    cancel(bench.root, cancellable(bench.root, [sweep.points[0].id]))

    assert tend(bench.root, "s").statuses[sweep.points[0].id].state is State.CANCELLED
    assert len(bench.root.submissions()) == 1


def test_a_job_of_a_silent_place_is_given_up_by_cancel_and_free_for_the_next_launch(
    bench: Bench,
) -> None:
    sweep = bench.load("a")
    (point,) = sweep.points
    go(bench, sweep)
    until(all_are(bench, sweep, State.DONE))
    until(lambda: not bench.pools()[0].process.alive())
    folder = bench.root.submissions()[0]
    words = folder.pool.read_text().splitlines()[0]
    folder.pool.write_text(words.replace(socket.gethostname(), "gone") + "\n")
    os.utime(folder.pool, (0, 0))
    for outcome in folder.outcomes():
        outcome.unlink()
    shutil.rmtree(bench.root.job(point.id).attempts, ignore_errors=True)
    before = states(bench, sweep)["a"]

    cancel(bench.root, [point.id])

    assert (before, states(bench, sweep)["a"]) == (State.UNKNOWN, State.CANCELLED)
    assert go(bench, sweep).submitted == (point.id,)


def test_a_launch_killed_after_its_pool_started_is_adopted(bench: Bench) -> None:
    bench.script("a", "claim", "wait", "finish")
    path, sweep = bench.sweep("a", "b"), bench.load("a", "b")
    killed = starting(bench, path, "submit.write_submitted = die")
    assert killed.wait() == -9
    assert set(states(bench, sweep).values()) == {State.UNKNOWN}

    again = go(bench, sweep)
    bench.go("a")
    until(all_are(bench, sweep, State.DONE))

    assert again.submitted == ()
    assert starts(bench, sweep) == {"a": 1, "b": 1}


def test_a_launch_killed_before_its_pool_started_is_refused_in_time_and_never_doubled(
    bench: Bench,
) -> None:
    path, sweep = bench.sweep("a", "b"), bench.load("a", "b")
    assert starting(bench, path, "LocalExecutor.submit = die").wait() == -9

    soon = go(bench, sweep)
    assert not is_settled(survey(bench.root, [point.id for point in sweep.points]))
    intent = bench.root.submissions()[0].intent
    os.utime(intent, (time.time() - 400,) * 2)
    later = go(bench, sweep)
    until(all_are(bench, sweep, State.DONE))

    assert (soon.submitted, soon.left_alone) == ((), {State.UNKNOWN: 2})
    assert len(later.submitted) == 2
    assert starts(bench, sweep) == {"a": 1, "b": 1}


@pytest.mark.parametrize(
    "fault",
    [
        "launch.describe = die",
        "launch.write_revision = die",
        "launch.take_snapshot = die",
        "submit.write_intent = die",
    ],
)
def test_a_launch_killed_before_its_intent_is_as_if_it_had_not_been(
    bench: Bench, fault: str
) -> None:
    path, sweep = bench.sweep("a"), bench.load("a")
    assert starting(bench, path, fault).wait() == -9

    again = go(bench, sweep)

    assert len(again.submitted) == 1
    until(all_are(bench, sweep, State.DONE))


def test_two_launches_at_the_same_time_submit_every_job_once(bench: Bench) -> None:
    path, sweep = bench.sweep("a", "b", "c"), bench.load("a", "b", "c")
    both = [starting(bench, path), starting(bench, path)]

    told = sorted(int(one.communicate()[0]) for one in both)

    until(all_are(bench, sweep, State.DONE))
    assert told == [0, 3]
    assert set(starts(bench, sweep).values()) == {1}


def test_points_dropped_from_a_sweep_run_on_and_are_told_and_can_be_cancelled(
    bench: Bench,
) -> None:
    bench.script("a", "claim", "wait", "finish")
    wide = bench.load("a", "b")
    go(bench, wide)
    until(lambda: starts(bench, wide)["a"])

    narrow = go(bench, bench.load("b"))

    job = wide.points[0].id
    assert narrow.dropped_running == {job: "a"}
    assert [one.id for one in select(bench.root, job[:8])] == [job]
    bench.go("a")
    until(all_are(bench, wide, State.DONE))


def test_a_job_that_waits_with_another_placement_is_told(bench: Bench) -> None:
    bench.script("a", "claim", "wait", "finish")
    bench.script("b", "claim", "wait", "finish")
    go(bench, bench.load("a", "b", "c"))

    text = bench.sweep("a", "b", "c").read_text()
    bench.sweep().write_text(text.replace("device: cpu", "device: cpu, log_every_steps: 7"))
    again = go(bench, load_sweep(bench.folder / "s.yaml", executors=EXECUTORS))

    assert again.submitted == ()
    assert again.other_placement == again.left_alone[State.QUEUED] >= 1
    bench.go("a", "b")


def test_a_preempted_job_goes_on_with_the_code_that_wrote_its_checkpoint(bench: Bench) -> None:
    bench.script("a", "claim", "wait", "finish")
    sweep = bench.load("a", "b")
    bench.script("b", "claim", "fail it was wrong")
    go(bench, sweep)
    until(lambda: starts(bench, sweep) == {"a": 1, "b": 1})
    old = bench.root.snapshots / next(bench.root.snapshots.iterdir()).name
    older = old.rename(old.with_name("0123456789abcdef"))  # as if launched with other code
    _rewrite(bench, "snapshot", older.name)
    bench.plant()
    os.kill(bench.pools()[0].process.pid, 15)
    until(lambda: states(bench, sweep) == {"a": "PREEMPTED", "b": "FAILED"})

    bench.go("a")
    bench.script("b", "claim", "finish")
    go(bench, sweep)
    until(all_are(bench, sweep, State.DONE))

    used = {point.name: _code(bench, point.id) for point in sweep.points}
    assert used == {"a": [older.name, older.name], "b": [older.name, old.name]}


def _rewrite(bench: Bench, key: str, value: str) -> None:
    for folder in bench.root.submissions():
        plain: dict[str, Any] = json.loads(folder.intent.read_bytes())
        folder.intent.write_text(json.dumps({**plain, key: value}))


def _code(bench: Bench, job: str) -> list[str]:
    tokens = [json.loads(a.started.read_bytes())["token"] for a in bench.attempts_on(job)]
    return [Submission.read(bench.root.submission(token)).snapshot for token in tokens]


def test_a_killed_job_is_tried_again_twice_by_a_watch_and_then_left(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RULES, "killed", replace(RULES["killed"], back_off_s=0.5))
    bench.script("a", "claim", "kill 9")
    sweep = bench.load("a")
    go(bench, sweep)

    assert settle(bench, sweep) == {"a": State.FAILED}
    assert starts(bench, sweep) == {"a": 3}
    assert go(bench, sweep).submitted == (sweep.points[0].id,)


def test_a_failure_tells_when_it_is_tried_again_and_a_launch_does_not_wait(bench: Bench) -> None:
    bench.script("a", "claim", "kill 9")
    sweep = bench.load("a")
    go(bench, sweep)
    until(lambda: states(bench, sweep) == {"a": State.FAILED})

    jobs = select(bench.root, "s")
    (row,) = rows_of(bench.root, jobs, look_at(bench.root, jobs))

    assert re.search(r"by hand; again from \d\d:\d\d:\d\d$", row.reason)
    assert go(bench, sweep).submitted == (row.id,)


@pytest.mark.parametrize(
    ("status", "settled"),
    [
        (JobStatus("j", State.PREEMPTED, due=True), False),
        (JobStatus("j", State.PREEMPTED), True),
        (JobStatus("j", State.FAILED, due=True), False),
        (JobStatus("j", State.FAILED, due_at=5.0), False),
        (JobStatus("j", State.FAILED), True),
        (JobStatus("j", State.PLANNED), True),
        (JobStatus("j", State.RUNNING), False),
        (JobStatus("j", State.QUEUED), False),
        (JobStatus("j", State.UNKNOWN), True),
        (JobStatus("j", State.CANCELLED), True),
        (JobStatus("j", State.DONE), True),
    ],
)
def test_a_watch_ends_when_nothing_more_happens_by_itself(
    status: JobStatus, *, settled: bool
) -> None:
    found = Survey({"j": JobFacts("j")}, {"j": status}, {}, {}, ())

    assert is_settled(found) is settled


def test_a_job_that_raised_is_not_tried_again_and_its_row_says_why(bench: Bench) -> None:
    bench.script("a", "claim", "fail shard train-00000.tar: key 7 is no image")
    sweep = bench.load("a")
    go(bench, sweep)

    assert settle(bench, sweep) == {"a": State.FAILED}
    jobs = select(bench.root, "s")
    row = rows_of(bench.root, jobs, look_at(bench.root, jobs))[0]
    assert row.reason == "ValueError: shard train-00000.tar: key 7 is no image"
    assert starts(bench, sweep) == {"a": 1}


def test_a_pool_that_cannot_start_leaves_its_jobs_free(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = bench.load("a")
    with monkeypatch.context() as broken:
        broken.setattr(sys, "executable", "/no/such/python")
        with pytest.raises(Refused, match="/no/such/python"):
            go(bench, sweep)
    assert states(bench, sweep) == {"a": State.PLANNED}

    go(bench, sweep)

    until(all_are(bench, sweep, State.DONE))


BAD = {
    "classes": ("set: {model.num_classes: 7}", SpecError, r"num_classes 7.*10 classes"),
    "channels": ("set: {model.in_chans: 3}", SpecError, r"in_chans 3.*1 channel"),
    "dataset": ("set: {data.name: cats}", DataError, r"no dataset 'cats'.*data prepare"),
    "no step": (
        "set: {train.batch_size: 2048, train.tail: drop}",
        SpecError,
        r"batch_size 2048.*1347 training images",
    ),
    "no gpu": ("placement: {device: cuda}", SpecError, r"0 GPU\(s\)"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_its_data_or_place_is_refused_and_nothing_is_made(
    bench: Bench, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    text, error, words = BAD[case]
    bench.sweep("a", name="base")
    path = bench.sweep()
    path.write_text(f"name: s\nextends: base.yaml\n{text}\n")
    before = tree(bench.folder), tree(bench.data)
    with pytest.raises(error, match=words):
        launch(
            load_sweep(path, executors=EXECUTORS),
            root_path=bench.folder / "new",
            data_root=bench.data,
        )

    assert (tree(bench.folder), tree(bench.data)) == before


@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_a_damaged_shard_is_refused_and_nothing_is_made(bench: Bench, damage: str) -> None:
    data = bench.folder / "data"
    shutil.copytree(bench.data, data)
    shard = next((data / "digits").glob("train-*.tar"))
    if damage == "missing":
        shard.unlink()
    else:
        os.truncate(shard, shard.stat().st_size - 512)
    sweep = bench.load("a")
    before = tree(bench.folder)

    with pytest.raises(DataError, match=shard.name):
        launch(sweep, root_path=bench.folder / "new", data_root=data)
    assert tree(bench.folder) == before


@pytest.mark.parametrize("where", ["a file", "a newer root"])
def test_a_root_that_cannot_be_used_is_refused_and_nothing_is_made(
    bench: Bench, where: str
) -> None:
    sweep = bench.load("a")
    root = bench.folder / "new"
    if where == "a file":
        root = bench.folder / "s.yaml" / "runs"
    else:
        root.mkdir()
        (root / "root.json").write_text('{"schema": 99}')
    before = tree(bench.folder)

    with pytest.raises(RootError, match="99" if where == "a newer root" else "cannot be written"):
        launch(sweep, root_path=root, data_root=bench.data)
    assert tree(bench.folder) == before


def test_other_content_under_a_known_dataset_name_is_refused(bench: Bench) -> None:
    sweep = bench.load("a")
    go(bench, sweep)
    until(all_are(bench, sweep, State.DONE))
    bound = bench.root.dataset("digits")
    bound.write_text(bound.read_text().replace('"content_hash": "', '"content_hash": "0'))

    with pytest.raises(OrchestrateError, match="another content"):
        go(bench, bench.load("a", "b"))


def test_a_full_disk_is_one_message_and_the_root_works_again_when_there_is_room(
    bench: Bench,
) -> None:
    disk = bench.folder / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a small disk")
    small = Bench(disk, bench.data)
    try:
        path = bench.sweep("a")
        full = bench.orchestrate("launch", str(path), ORCHESTRATE_ROOT=str(disk / "runs"))
        subprocess.run(["mount", "-o", "remount,size=16m", str(disk)], check=True)
        (disk / "control").mkdir()
        shutil.rmtree(small.root.snapshots, ignore_errors=True)
        small.plant()
        sweep = bench.load("a")
        launched = go(small, sweep)
        until(all_are(small, sweep, State.DONE))
    finally:
        small.tear_down()
        subprocess.run(["umount", "-l", str(disk)], check=True)

    assert (full.returncode, full.stderr.count("\n")) == (1, 1)
    assert "No space left" in full.stderr
    assert len(launched.submitted) == 1
