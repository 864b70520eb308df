"""What a driver of Ray does for its members while Ray says nothing; without Ray."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakes.place import ELSEWHERE, attempt
from support.pool_bench import Bench, until

from orchestrator.executors import ray_scribe
from orchestrator.executors.pool_log import PoolLog, PoolLogWriter, read_pool_log
from orchestrator.executors.ray_marks import begin
from orchestrator.executors.ray_scribe import Scribe
from orchestrator.jobs.facts import End, Ending
from orchestrator.jobs.files import publish, to_json
from orchestrator.jobs.orders import Order, write_order
from orchestrator.jobs.processes import Process
from orchestrator.jobs.store import REVISION_SCHEMA
from orchestrator.jobs.submissions import write_intent


@pytest.fixture
def scribe(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scribe]:
    """Of two members, the first of which a trial has begun on another machine."""
    monkeypatch.setattr(ray_scribe, "ORDERS_S", 0.01)
    monkeypatch.setattr(ray_scribe, "BEAT_S", 0.0)
    submission = bench.draft("a", "b", executor="ray")
    folder = write_intent(bench.root, submission, "")
    made = Scribe(bench.root, submission, PoolLogWriter(folder.pool))
    begin(folder, 0)
    made.start(0, Process.named(ELSEWHERE), ())
    yield made
    for index in range(2):
        made.end(index, End(time.time(), started=False))
    folder.pool.unlink()  # it names this process, which the bench would end


def log_of(scribe: Scribe) -> PoolLog:
    found = read_pool_log(scribe.root.submission(scribe.submission.token).pool)
    assert found is not None
    return found


def silent_for(seconds: float, *paths: Path) -> None:
    for path in paths:
        os.utime(path, (time.time() - seconds,) * 2)


def withdraws_what_waits(scribe: Scribe) -> bool:
    write_order(scribe.root, Order(what="cancel", jobs=[scribe.submission.jobs[1]]))
    return until(lambda: 1 in log_of(scribe).ended, 10)


def no_such_sweep(scribe: Scribe) -> None:
    scribe.searches = ["gone"]


def of_a_newer_program(scribe: Scribe) -> None:
    search = {"asha": {"metric": "val/unheard_of", "grace": 1, "reduction": 2}, "rungs": [1]}
    revision = {"schema": REVISION_SCHEMA, "name": "s", "jobs": [], "search": search}
    publish(scribe.root.sweep("s") / "001.json", to_json(revision))
    scribe.searches = ["s"]


@pytest.mark.parametrize("damage", [no_such_sweep, of_a_newer_program])
def test_a_search_that_cannot_decide_is_told_and_keeps_no_order_from_being_obeyed(
    scribe: Scribe, capsys: pytest.CaptureFixture[str], damage: Callable[[Scribe], None]
) -> None:
    damage(scribe)
    scribe.measured.set()

    scribe.tend()
    until(lambda: not scribe.measured.is_set(), 10)

    assert withdraws_what_waits(scribe)
    assert capsys.readouterr().out.count("warning: the search of ") == 1


def test_a_heart_beats_on_and_the_lost_are_buried_while_no_order_can_be_read(
    scribe: Scribe,
) -> None:
    newer = {"schema_version": 99, "what": "cancel", "id": "x"}
    publish(scribe.root.orders / "000000000000001-x.json", to_json(newer))

    scribe.tend()
    scribe.lose(1, "Ray lost it")

    until(lambda: log_of(scribe).ended.keys() == {1}, 10)
    silent_for(200, scribe.root.submission(scribe.submission.token).pool)
    until(lambda: time.time() - log_of(scribe).touched < 60, 10)


def test_a_driver_that_cannot_obey_orders_any_more_ends(
    scribe: Scribe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    codes: list[int] = []
    monkeypatch.setattr(ray_scribe, "read_orders", lambda _: 1 / 0)
    monkeypatch.setattr(ray_scribe.os, "_exit", codes.append)

    scribe.tend()
    until(lambda: codes, 10)

    assert codes == [1]
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_lost_member_that_cannot_be_seen_is_not_over_while_its_attempt_shows_life(
    scribe: Scribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_scribe, "SETTLE_S", 1.0)
    own = attempt(scribe.root, scribe.submission.jobs[0], scribe.submission)
    silent_for(-3, own.started)

    scribe.tend()
    scribe.lose(0, "Ray lost it")
    time.sleep(2)
    while_it_saves = dict(log_of(scribe).ended)
    until(lambda: 0 in log_of(scribe).ended, 10)

    assert while_it_saves == {}
    assert time.time() - own.started.stat().st_mtime > 1.0


def test_a_lost_member_that_cannot_be_seen_is_over_at_once_when_its_attempt_says_so(
    scribe: Scribe,
) -> None:
    attempt(scribe.root, scribe.submission.jobs[0], scribe.submission, ending=Ending.STOPPED)

    scribe.tend()
    scribe.lose(0, "Ray lost it")

    assert until(lambda: log_of(scribe).ended, 10)[0].by_place


def test_an_end_that_could_not_be_written_is_told_again(
    scribe: Scribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, full = PoolLogWriter.end, [OSError(28, "No space left on device")]

    def end(log: PoolLogWriter, *how: object) -> None:
        if full:
            raise full.pop()
        write(log, *how)  # type: ignore[arg-type]

    monkeypatch.setattr(PoolLogWriter, "end", end)

    scribe.tend()
    scribe.lose(1, "Ray lost it")

    assert until(lambda: log_of(scribe).ended, 10)[1].detail == "Ray lost it"
    assert full == []
    assert json.loads(scribe.root.submission(scribe.submission.token).taken_mark(1).read_text())
