"""A search carried out on real processes: who is stopped, stays so, and goes on when asked."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace

import pytest
from support.pool_bench import Bench, until

from orchestrator.controller.cancel import cancel
from orchestrator.controller.launch import Wishes, launch
from orchestrator.controller.launched import Launched
from orchestrator.controller.retry import retry
from orchestrator.controller.select import select
from orchestrator.controller.survey import survey
from orchestrator.controller.watch import is_settled, tend
from orchestrator.jobs.orders import Order, read_orders
from orchestrator.jobs.state import JobStatus
from orchestrator.sweep.expand import Sweep

pytestmark = pytest.mark.slow

SEARCH = "search: {asha: {metric: val/top1, grace: 2, reduction: 2}}\n"
"""Of jobs of ten epochs: rungs 2, 4, 8."""


def searching(bench: Bench, *cases: str, name: str = "s", text: str = SEARCH) -> Sweep:
    """Its jobs run one after the other, so that they come to their rungs in this order."""
    return replace(bench.load(*cases, name=name, text=text), max_parallel=1)


def launched(bench: Bench, sweep: Sweep, *fresh: str) -> Launched:
    wishes = Wishes(fresh=[point.id for point in sweep.points if point.name in fresh])
    return launch(sweep, root_path=bench.root.path, data_root=bench.data, wishes=wishes)


def statuses(bench: Bench, sweep: Sweep) -> dict[str, JobStatus]:
    found = survey(bench.root, [point.id for point in sweep.points]).statuses
    return {point.name: found[point.id] for point in sweep.points}


def states(bench: Bench, sweep: Sweep) -> dict[str, str]:
    return {name: status.state.value for name, status in statuses(bench, sweep).items()}


def tended(bench: Bench, sweep: Sweep) -> dict[str, str]:
    until(lambda: is_settled(tend(bench.root, sweep.name)))
    return states(bench, sweep)


def at(epoch: int, top1: float) -> str:
    return f'point {epoch} {{"val/top1": {top1}}}'


def goes_to_rungs(bench: Bench, name: str, *top1: float, then: Sequence[str] = ()) -> None:
    points = [at(epoch, value) for epoch, value in zip((2, 4, 8), top1, strict=False)]
    bench.script(name, "claim", *points, *then)


def waits(bench: Bench, name: str, *top1: float) -> None:
    goes_to_rungs(bench, name, *top1, then=["wait", at(10, 99), "finish"])


def stops(bench: Bench) -> list[Order]:
    return [order for order in read_orders(bench.root) if order.what == "stop"]


def one_stopped(bench: Bench) -> Sweep:
    """Of two jobs b was stopped at the first rung; a is done."""
    goes_to_rungs(bench, "a", 50, 60, 70, then=["finish"])
    waits(bench, "b", 40)
    sweep = searching(bench, "a", "b")
    launched(bench, sweep)
    assert tended(bench, sweep) == {"a": "DONE", "b": "STOPPED"}
    return sweep


def test_a_job_behind_the_places_of_a_rung_is_stopped_in_order_and_says_where(
    bench: Bench,
) -> None:
    sweep = one_stopped(bench)

    stopped = statuses(bench, sweep)["b"]
    (row,) = json.loads(bench.orchestrate("status", "s/b", "--json").stdout)["jobs"]
    (order,) = stops(bench)
    assert stopped.reason == "rung 1 (epoch 2) of s: val/top1 40 is number 2 of 2, 1 go on"
    assert (stopped.rung, stopped.due, stopped.due_at) == (1, False, None)
    assert (row["state"], row["epoch"], row["epochs"], row["rung"]) == ("STOPPED", 2, 10, 1)
    (attempt,) = bench.attempts_on(sweep.points[1].id)
    assert json.loads(attempt.exit.read_bytes())["end"] == "stopped"
    assert (order.jobs, order.last) == ([sweep.points[1].id], {sweep.points[1].id: 1})


def test_neither_a_launch_nor_a_watch_starts_it_again_and_a_retry_only_if_it_says_so(
    bench: Bench,
) -> None:
    sweep = one_stopped(bench)

    again = launched(bench, sweep)
    assert (again.submitted, again.left_alone) == ((), {"DONE": 1, "STOPPED": 1})
    assert tended(bench, sweep)["b"] == "STOPPED"
    assert retry(bench.root, select(bench.root, "s")).submitted == ()
    bench.go("b")
    assert retry(bench.root, select(bench.root, "s"), stopped=True).submitted == (
        sweep.points[1].id,
    )
    assert tended(bench, sweep) == {"a": "DONE", "b": "DONE"}
    assert len(stops(bench)) == 1


def test_what_was_stopped_is_counted_apart_and_a_wait_for_it_ends_well(bench: Bench) -> None:
    one_stopped(bench)

    (row,) = json.loads(bench.orchestrate("results", "s", "--by", "seed", "--json").stdout)["rows"]
    told = bench.orchestrate("results", "s", "--by", "seed").stdout
    waited = bench.orchestrate("watch", "s")
    once = bench.orchestrate("watch", "s", "--once", "--json")
    assert (row["n"], row["stopped"], row["missing"], row["values"]) == (1, 1, 0, [70.0])
    assert "stop" in told.splitlines()[0]
    assert waited.returncode == 0
    assert "1 of 2 jobs were stopped by a search." in waited.stdout
    assert once.returncode == 0
    assert json.loads(once.stdout)["counts"] == {"DONE": 1, "STOPPED": 1}


def test_at_an_epoch_that_it_has_passed_a_stopped_job_counts_like_any_other(bench: Bench) -> None:
    one_stopped(bench)
    words = ("results", "s", "--by", "seed", "--at", "epoch=2", "--json")

    (row,) = json.loads(bench.orchestrate(*words).stdout)["rows"]

    assert (row["n"], row["stopped"], sorted(row["values"])) == (2, 0, [40.0, 50.0])


def test_a_job_that_a_sweep_without_a_search_has_is_not_stopped(bench: Bench) -> None:
    goes_to_rungs(bench, "a", 50, 60, 70, then=["finish"])
    waits(bench, "b", 40)
    sweep, plain = searching(bench, "a", "b"), searching(bench, "b", name="plain", text="")
    launched(bench, sweep)
    launched(bench, plain)
    until(lambda: states(bench, sweep) == {"a": "DONE", "b": "RUNNING"})

    tend(bench.root, "s")

    assert stops(bench) == []
    bench.go("b")
    assert tended(bench, sweep) == {"a": "DONE", "b": "DONE"}


@pytest.mark.parametrize("text", ["", "max_failures: 7\n"])
def test_a_launch_of_a_sweep_that_has_no_search_trains_it_whole(bench: Bench, text: str) -> None:
    sweep = one_stopped(bench)
    name = "s" if text else "plain"
    plain = searching(bench, "a", "b", name=name, text=text)
    bench.go("b")

    assert launched(bench, plain).submitted == (sweep.points[1].id,)

    assert tended(bench, plain) == {"a": "DONE", "b": "DONE"}


def test_afresh_it_is_judged_anew(bench: Bench) -> None:
    sweep = one_stopped(bench)
    waits(bench, "b", 60)
    bench.go("b")

    assert launched(bench, sweep, "b").submitted == (sweep.points[1].id,)

    assert tended(bench, sweep) == {"a": "DONE", "b": "DONE"}
    assert len(stops(bench)) == 1


def test_a_preempted_job_that_fell_is_not_started_again(bench: Bench) -> None:
    goes_to_rungs(bench, "a", 50, 60, 70, then=["finish"])
    goes_to_rungs(bench, "b", 40, then=["end stopped 75"])
    sweep = searching(bench, "a", "b")
    launched(bench, sweep)
    until(lambda: states(bench, sweep) == {"a": "DONE", "b": "PREEMPTED"})

    assert tended(bench, sweep) == {"a": "DONE", "b": "STOPPED"}
    assert len(bench.attempts_on(sweep.points[1].id)) == 1


def test_a_cancelled_job_stays_cancelled_and_is_stopped_once_it_runs_again(bench: Bench) -> None:
    goes_to_rungs(bench, "a", 50, 60, 70, then=["finish"])
    waits(bench, "b", 40)
    sweep = searching(bench, "a", "b")
    launched(bench, sweep)
    until(lambda: states(bench, sweep) == {"a": "DONE", "b": "RUNNING"})
    cancel(bench.root, [sweep.points[1].id])
    assert tended(bench, sweep)["b"] == "CANCELLED"
    assert stops(bench) == []

    launched(bench, sweep)

    assert tended(bench, sweep)["b"] == "STOPPED"


def test_two_watches_that_decide_at_the_same_time_give_one_order(bench: Bench) -> None:
    goes_to_rungs(bench, "a", 50, 60, 70, then=["finish"])
    waits(bench, "b", 40)
    sweep = searching(bench, "a", "b")
    launched(bench, sweep)
    until(lambda: states(bench, sweep) == {"a": "DONE", "b": "RUNNING"})
    words = [sys.executable, "-m", "orchestrator.cli", "watch", "s"]
    environment = {**os.environ, **bench.environment}
    watches = [subprocess.Popen(words, env=environment, cwd=bench.folder) for _ in range(2)]

    assert [watch.wait(60) for watch in watches] == [0, 0]

    assert len(stops(bench)) == 1
    assert states(bench, sweep) == {"a": "DONE", "b": "STOPPED"}


def test_what_a_search_decided_is_told_by_why_and_by_the_plan(bench: Bench) -> None:
    one_stopped(bench)

    why = bench.orchestrate("why", "s/b").stdout
    planned = json.loads(bench.orchestrate("plan", "s.yaml", "--json").stdout)
    assert "is STOPPED: rung 1 (epoch 2) of s" in why
    assert "--stopped" in why.splitlines()[-1]
    assert planned["search"]["rungs"] == [2, 4, 8]
    assert planned["counts"] == {"DONE": 1, "STOPPED": 1}
    assert planned["shapes"] == []
