import itertools
import json
import os
import signal
import time
from pathlib import Path

import pytest
from support.pool_bench import Bench, job_named, kill, until

from orchestrator.executors.last_words import last_line
from orchestrator.executors.pool import rank_environment
from orchestrator.executors.pool_log import PoolLog
from orchestrator.jobs.orders import Order, write_order

pytestmark = pytest.mark.slow


def peak(bench: Bench) -> int:
    """How many members of all pools ran at the same time, as their pools wrote it down."""
    changes = []
    for folder in bench.root.submissions():
        for entry in map(json.loads, folder.pool.read_text().splitlines()[1:]):
            if "start" in entry:
                changes.append((entry["t"], 1))
            elif entry["how"]["started"]:
                changes.append((entry["how"]["time"], -1))
    return max(itertools.accumulate(change for _, change in sorted(changes)))


def started_at(log: PoolLog, index: int, bench: Bench) -> float:
    path = next(f.pool for f in bench.root.submissions() if str(log.process) in f.pool.read_text())
    entries = map(json.loads, path.read_text().splitlines()[1:])
    return next(float(e["t"]) for e in entries if e.get("start") == index)


def test_a_pool_runs_so_many_members_at_a_time_and_all_of_them_once(bench: Bench) -> None:
    submission = bench.submit("a", "b", "c", "d", "e", parallel=2)

    log = bench.over(submission)

    assert peak(bench) == 2
    assert sorted(log.started) == sorted(log.ended) == [0, 1, 2, 3, 4]
    assert [len(bench.attempts(name)) for name in "abcde"] == [1] * 5


def test_a_younger_pool_waits_for_the_waiting_members_of_an_older_one(bench: Bench) -> None:
    for name in "abcd":
        bench.script(name, "claim", "wait", "finish")
    older = bench.submit("a", "b", parallel=1)
    bench.started(older, 1)
    younger = bench.submit("c", "d", parallel=2)
    time.sleep(1)
    before = bench.log(younger).started
    bench.go("a")
    bench.started(younger, 1)  # beside b, which was first in the line
    bench.go("b", "c", "d")
    first, second = bench.over(older), bench.over(younger)

    assert before == {}
    assert started_at(first, 1, bench) < started_at(second, 0, bench)
    assert peak(bench) == 2


def test_members_that_outlived_an_older_pool_take_places_of_a_younger_one(bench: Bench) -> None:
    for name in "ab":
        bench.script(name, "claim", "wait", "finish")
    older = bench.submit("a", parallel=1)
    kill(bench.started(older, 1).process)
    younger = bench.submit("b", parallel=1)
    time.sleep(1)
    before = bench.log(younger).started
    bench.go("a", "b")

    assert before == {}
    assert bench.over(younger).ended[0].exit_code == 0


def test_a_cancel_order_withdraws_who_waits_and_stops_who_runs(bench: Bench) -> None:
    for name in "abc":
        bench.script(name, "claim", "wait", "finish")
    submission = bench.submit("a", "b", "c", parallel=1)
    bench.started(submission, 1)

    write_order(bench.root, Order(what="cancel", jobs=[job_named("a"), job_named("b")]))
    until(lambda: 2 in bench.log(submission).started)
    bench.go("c")
    log = bench.over(submission)

    assert (log.ended[0].exit_code, log.ended[0].by_place) == (75, True)
    assert (log.ended[1].started, log.ended[1].detail) == (False, "withdrawn before it started")
    assert log.ended[2].exit_code == 0
    assert json.loads(bench.attempts("a")[0].exit.read_text())["end"] == "stopped"
    assert bench.attempts("b") == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signalled_pool_stops_its_members_and_says_that_it_did(
    bench: Bench, number: signal.Signals
) -> None:
    bench.script("a", "claim", "wait")
    bench.script("b", "stubborn", "claim", "wait")
    submission = bench.submit("a", "b", "c", parallel=2)
    os.kill(bench.started(submission, 2).process.pid, number)

    log = bench.over(submission)

    assert (log.ended[0].by_place, log.ended[0].exit_code) == (True, 75)
    assert (log.ended[1].by_place, log.ended[1].signal) == (True, signal.SIGKILL)
    assert (log.ended[2].started, log.ended[2].detail) == (False, "the pool was stopped")


def test_when_a_rank_fails_the_others_are_ended_and_its_end_is_recorded(bench: Bench) -> None:
    bench.script("a.rank0", "claim", "stubborn", "wait")
    bench.script("a.rank1", "say one", "say no memory left", "exit 3")
    submission = bench.submit("a", placement={"ranks": 2})

    log = bench.over(submission)

    assert (log.ended[0].exit_code, log.ended[0].by_place) == (3, False)
    assert log.ended[0].detail == "no memory left"
    assert not log.started[0].process.alive()


def test_ranks_that_wait_for_a_rank_0_that_left_are_no_failure(bench: Bench) -> None:
    bench.script("a.rank0", "say nothing to do: the job is done", "exit 0")
    bench.script("a.rank1", "stubborn", "wait")
    submission = bench.submit("a", placement={"ranks": 2})

    end = bench.over(submission).ended[0]

    assert (end.exit_code, end.signal) == (0, None)


@pytest.mark.parametrize(
    ("acts", "code", "number", "words"),
    [
        (("say before", "exit 4"), 4, None, "before"),
        (
            ("claim", "log in the log of the attempt", "exit 5"),
            5,
            None,
            "in the log of the attempt",
        ),
        (("claim", "log last words", "kill 11"), None, signal.SIGSEGV, "last words"),
        (("kill 9",), None, signal.SIGKILL, ""),
    ],
)
def test_exit_code_signal_and_last_line_are_recorded(
    bench: Bench, acts: tuple[str, ...], code: int | None, number: int | None, words: str
) -> None:
    bench.script("a", *acts)

    end = bench.over(bench.submit("a")).ended[0]

    assert (end.exit_code, end.signal, end.detail, end.by_place) == (code, number, words, False)


def test_the_last_line_is_found_without_reading_a_large_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file:
        file.seek(1 << 34)
        file.write(b"\nthe end\n\n  \n")

    assert last_line(log) == "the end"
    assert last_line(tmp_path / "none") == ""


def test_a_rank_is_told_its_place_and_its_threads() -> None:
    told = rank_environment(1, 4, 3)

    assert (told["ORCHESTRATE_RANK"], told["ORCHESTRATE_WORLD_SIZE"]) == ("1", "4")
    assert {told["OMP_NUM_THREADS"], told["MKL_NUM_THREADS"]} == {"3"}
