import os
import shutil
import socket

import pytest
from support.pool_bench import Bench, kill, until

from orchestrator.controller.afresh import to_begin_afresh
from orchestrator.controller.decide import begin_afresh
from orchestrator.controller.launch import Wishes, launch
from orchestrator.controller.launched import Launched
from orchestrator.controller.select import select
from orchestrator.controller.status import look_at, rows_of
from orchestrator.controller.survey import survey
from orchestrator.errors import SpecError
from orchestrator.jobs.state import State
from orchestrator.jobs.store import launched_revision
from orchestrator.jobs.submissions import Submission
from orchestrator.results.result import read_results
from orchestrator.sweep.expand import Sweep

pytestmark = pytest.mark.slow


def go(bench: Bench, sweep: Sweep, *fresh: str) -> Launched:
    wishes = Wishes(fresh=[point.id for point in sweep.points if point.name in fresh])
    return launch(sweep, root_path=bench.root.path, data_root=bench.data, wishes=wishes)


def states(bench: Bench, sweep: Sweep) -> dict[str, State]:
    found = survey(bench.root, [point.id for point in sweep.points])
    return {point.name: found.statuses[point.id].state for point in sweep.points}


def shown(bench: Bench) -> dict[str, tuple[str, dict[str, float]]]:
    """By name, what status tells; whatever is done for good is remembered by it."""
    jobs = select(bench.root, "s")
    rows = rows_of(bench.root, jobs, look_at(bench.root, jobs))
    return {row.name: (row.state.value, dict(row.metrics)) for row in rows}


@pytest.fixture
def done(bench: Bench) -> Sweep:
    """A sweep of which a and b are done, which status has seen."""
    for name in "ab":
        bench.script(name, "claim", 'point 10 {"val/top1": 50.0}', "finish")
    sweep = bench.load("a", "b")
    go(bench, sweep)
    until(lambda: set(states(bench, sweep).values()) == {State.DONE})
    until(lambda: not bench.pools()[0].process.alive())
    assert shown(bench) == dict.fromkeys("ab", ("DONE", {"val/top1": 50.0}))
    assert bench.root.settled.is_file()
    return sweep


def test_a_job_that_begins_afresh_shows_nothing_of_what_it_measured_before(
    bench: Bench, done: Sweep
) -> None:
    bench.script("a", "claim", "wait", 'point 10 {"val/top1": 70.0}', "finish")

    launched = go(bench, done, "a")

    assert launched.submitted == (done.points[0].id,)
    assert shown(bench)["b"] == ("DONE", {"val/top1": 50.0})
    assert shown(bench)["a"][1] == {}
    results = read_results(bench.root, launched_revision(bench.root, "s"))
    assert [(r.ending, dict(r.metrics)) for r in results] == [
        (None, {}),
        ("finished", {"val/top1": 50.0}),
    ]
    bench.go("a")
    until(lambda: states(bench, done)["a"] is State.DONE)
    assert shown(bench)["a"] == ("DONE", {"val/top1": 70.0})
    assert go(bench, done).submitted == ()


def test_a_job_that_was_ordered_afresh_and_not_yet_submitted_is_due(
    bench: Bench, done: Sweep
) -> None:
    cache = bench.root.settled.read_bytes()
    begin_afresh(bench.root, survey(bench.root, [p.id for p in done.points]), [done.points[0].id])
    bench.root.settled.write_bytes(cache)

    assert states(bench, done) == {"a": "PLANNED", "b": "DONE"}
    assert go(bench, done).submitted == (done.points[0].id,)
    until(lambda: states(bench, done)["a"] is State.DONE)


def test_the_words_after_fresh_choose_what_has_something_to_discard(
    bench: Bench, done: Sweep
) -> None:
    bench.script("c", "claim", "wait")
    wider = bench.load("a", "b", "c")
    first, second, third = wider.points
    root = bench.root.path

    assert to_begin_afresh(wider, root, ["all"]) == {first.id: "a", second.id: "b"}
    assert to_begin_afresh(wider, root, ["b"]) == {second.id: "b"}
    assert to_begin_afresh(wider, root, [first.id[:6]]) == {first.id: "a"}
    assert to_begin_afresh(wider, root, ["c"]) == {}
    assert to_begin_afresh(wider, root / "elsewhere", ["all"]) == {}
    assert to_begin_afresh(wider, root, ["older"]) == {first.id: "a", second.id: "b"}
    with pytest.raises(SpecError, match=r"--fresh d: s has no such point. Write all, older"):
        to_begin_afresh(wider, root, ["d"])
    go(bench, wider)
    until(lambda: bench.attempts_on(third.id))
    with pytest.raises(
        SpecError, match=r"c runs or waits, or may do so. Cancel first: orchestrate cancel s/c"
    ):
        to_begin_afresh(wider, root, ["c"])
    assert third.id not in to_begin_afresh(wider, root, ["all"])


@pytest.mark.parametrize("damage", ["purged", "damaged", "edited"])
def test_a_job_that_is_not_whole_is_trained_again_when_asked_and_then_is(
    bench: Bench, done: Sweep, damage: str
) -> None:
    folder = bench.root.job(done.points[0].id)
    bench.root.settled.unlink()
    if damage == "purged":
        shutil.rmtree(folder.path)
    else:
        text = folder.record.read_text()
        folder.record.write_text("{" if damage == "damaged" else text.replace("0.001", "0.5"))
        (folder.attempt(1).path / "exit.json").unlink()
    assert states(bench, done)["a"] is State.UNKNOWN
    assert go(bench, done).submitted == ()

    assert go(bench, done, "a").submitted == (done.points[0].id,)

    until(lambda: states(bench, done)["a"] is State.DONE)
    assert go(bench, done).submitted == ()


def test_a_job_of_which_nobody_can_speak_is_not_discarded(bench: Bench, done: Sweep) -> None:
    bench.script("a", "claim", "wait")
    go(bench, done, "a")
    until(lambda: len(bench.attempts_on(done.points[0].id)) == 2)
    (pool,) = [f.pool for f in bench.root.submissions() if len(Submission.read(f).jobs) == 1]
    words = pool.read_text().replace(socket.gethostname(), "gone")
    for log in bench.pools():
        kill(log.process)
    pool.write_text(words)
    started = bench.attempts_on(done.points[0].id)[1].started
    started.write_text(started.read_text().replace(socket.gethostname(), "gone"))
    for path in (pool, started, started.with_name("journal.jsonl")):
        os.utime(path, (0, 0))
    assert states(bench, done)["a"] is State.UNKNOWN

    with pytest.raises(SpecError, match="a runs or waits, or may do so"):
        to_begin_afresh(done, bench.root.path, ["a"])
    assert go(bench, done, "a").submitted == ()
    assert sum('"afresh"' in p.read_text() for p in bench.root.orders.iterdir()) == 1
