"""Pools inside a cluster's allocations, without it: processes are real, workers are not."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest
from fakes.slurm import profile
from hypothesis import given
from hypothesis import strategies as st
from support.pool_bench import Bench, job_named, until

from orchestrator.config import Placement, Resources
from orchestrator.config.resources import shared_gpus
from orchestrator.executors.pool_lines import seats
from orchestrator.executors.pool_log import PoolLog, read_pool_log, read_pools
from orchestrator.jobs.orders import Order, write_order
from orchestrator.jobs.submissions import Submission, read_taken, write_intent


@given(st.integers(1, 20), st.integers(1, 8), st.integers(1, 6))
def test_places_share_gpus_evenly_and_a_job_has_different_ones(
    places: int, ranks: int, jobs_per_gpu: int
) -> None:
    gpus = [str(number) for number in range(shared_gpus(places, ranks, jobs_per_gpu))]
    made = seats(places, ranks, gpus)
    loads = Counter(gpu for seat in made for gpu in seat.gpus)

    assert [seat.number for seat in made] == list(range(places))
    assert all(len(set(seat.gpus)) == ranks for seat in made)
    assert max(loads.values()) <= jobs_per_gpu
    assert max(loads.values()) - min(loads[gpu] for gpu in gpus) <= 1


def test_without_gpus_places_have_none() -> None:
    assert [seat.gpus for seat in seats(3, 2, ())] == [(), (), ()]


def packed(bench: Bench, *names: str, places: int = 2, **more: Any) -> Submission:
    """A submission whose allocations hold so many jobs at a time, two of them to a GPU."""
    resources = Resources(jobs_per_allocation=places, jobs_per_gpu=2)
    known = {"cluster": profile(), "resources": resources, "parallel": None, **more}
    one = bench.draft(*names, **known).model_copy(update={"placement": Placement()})
    write_intent(bench.root, one, "")
    return one


def start(
    bench: Bench, one: Submission, allocation: int = 0, *, restart: int = 0, gpus: str = "0"
) -> subprocess.Popen[bytes]:
    """An allocation of it, as SLURM's script starts it."""
    told = {
        "PYTHONPATH": str(bench.root.snapshots / one.snapshot),
        "SLURM_RESTART_COUNT": str(restart),
        "CUDA_VISIBLE_DEVICES": gpus,
    }
    words = ["-P", "-m", "orchestrator.executors.pool", one.token, str(allocation)]
    return subprocess.Popen(
        [sys.executable, *words], env={**os.environ, **bench.environment, **told}
    )


def log_of(bench: Bench, one: Submission, allocation: int = 0, restart: int = 0) -> PoolLog:
    path = bench.root.submission(one.token).allocation_pool(allocation, restart)
    return until(lambda: read_pool_log(path))


def claimed(bench: Bench, *names: str) -> None:
    until(lambda: all(bench.attempts(name) for name in names))


@pytest.mark.slow
def test_allocations_share_one_line_and_a_freed_place_takes_the_next_job(bench: Bench) -> None:
    bench.script("a", "claim", "wait", "finish")
    one = packed(bench, *"abcdefg")
    first = start(bench, one, gpus="2")
    claimed(bench, "a")
    second = start(bench, one, 1)
    until(lambda: len(read_pools(bench.root.submission(one.token)).ended) == 6)
    bench.go("a")

    assert (first.wait(20), second.wait(20)) == (0, 0)
    assert [len(bench.attempts(name)) for name in "abcdefg"] == [1] * 7
    mine, theirs = log_of(bench, one), log_of(bench, one, 1)
    assert sorted([*mine.started, *theirs.started]) == sorted(read_taken_of(bench, one))
    assert not set(mine.started) & set(theirs.started)
    assert {seat.gpus for seat in mine.started.values()} == {("2",)}
    assert (0 in mine.started, len(mine.started) > 2) == (True, True)


@pytest.mark.slow
def test_a_crash_is_recorded_and_leaves_the_others_alive(bench: Bench) -> None:
    bench.script("a", "claim", "wait", "finish")
    bench.script("b", "claim", "log last words", "kill 9")
    one = packed(bench, *"abc")
    pool = start(bench, one)
    until(lambda: {1, 2} <= log_of(bench, one).ended.keys())
    bench.go("a")

    assert pool.wait(20) == 0
    ends = log_of(bench, one).ended
    assert (ends[1].signal, ends[1].by_place, ends[1].detail) == (9, False, "last words")
    assert (ends[0].exit_code, ends[2].exit_code) == (0, 0)


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGUSR2, 79), (signal.SIGTERM, 75)])
def test_asked_to_stop_it_leaves_what_ran_to_its_next_start_which_does_that_first(
    bench: Bench, sent: signal.Signals, code: int
) -> None:
    for name in "ab":
        bench.script(name, "claim", "wait", "finish")
    one = packed(bench, *"abcd")
    pool = start(bench, one)
    claimed(bench, *"ab")
    pool.send_signal(sent)

    assert pool.wait(20) == code
    assert log_of(bench, one).ended == {}
    assert read_taken_of(bench, one) == {0: 0, 1: 0}
    said = [json.loads(bench.attempts(name)[0].exit.read_text())["end"] for name in "ab"]
    assert said == ["stopped", "stopped"]
    bench.go("a", "b")
    other, again = start(bench, one, 1), start(bench, one, restart=1)
    assert (other.wait(20), again.wait(20)) == (0, 0)
    assert list(log_of(bench, one, restart=1).started)[:2] == [0, 1]
    assert [len(bench.attempts(name)) for name in "abcd"] == [2, 2, 1, 1]
    starts = [json.loads(one.started.read_text()) for one in bench.attempts("a")]
    assert [start["restart"] for start in starts] == [0, 1]


@pytest.mark.slow
def test_a_cancel_order_stops_one_job_and_withdraws_who_waits(bench: Bench) -> None:
    for name in "ab":
        bench.script(name, "claim", "wait", "finish")
    one = packed(bench, *"abcd")
    pool = start(bench, one)
    claimed(bench, *"ab")
    write_order(bench.root, Order(what="cancel", jobs=[job_named("a"), job_named("c")]))
    until(lambda: {0, 2, 3} <= log_of(bench, one).ended.keys())
    bench.go("b")

    assert pool.wait(20) == 0
    ends = log_of(bench, one).ended
    assert (ends[0].exit_code, ends[0].by_place) == (75, True)
    assert (ends[2].started, ends[2].detail) == (False, "withdrawn before it started")
    assert (ends[1].exit_code, ends[3].exit_code) == (0, 0)


@pytest.mark.slow
def test_a_start_that_was_only_thought_lost_takes_nothing_more(bench: Bench) -> None:
    bench.script("a", "claim", "wait", "finish")
    bench.script("b", "claim", "wait", "finish")
    one = packed(bench, *"abc")
    lost = start(bench, one)
    claimed(bench, *"ab")
    log_of(bench, one)
    later = bench.root.submission(one.token).allocation_pool(0, 1)
    later.write_text("")
    bench.go("a", "b")

    assert lost.wait(20) == 0
    assert read_taken_of(bench, one) == {0: 0, 1: 0}


def read_taken_of(bench: Bench, one: Submission) -> dict[int, int]:
    return read_taken(bench.root.submission(one.token))
