from dataclasses import replace

import pytest
from support.pool_bench import Bench, until

from orchestrator.controller.cancel import cancel
from orchestrator.controller.launch import Wishes, describe, launch
from orchestrator.controller.retry import retry
from orchestrator.controller.select import select
from orchestrator.controller.submit import Terms
from orchestrator.controller.survey import survey
from orchestrator.controller.watch import is_settled, tend
from orchestrator.jobs.gather import read_submissions
from orchestrator.jobs.rules import RULES
from orchestrator.jobs.state import State
from orchestrator.jobs.store import launched_revision, write_revision
from orchestrator.sweep.expand import Sweep

pytestmark = pytest.mark.slow


def states(bench: Bench, sweep: Sweep) -> dict[str, State]:
    found = survey(bench.root, [point.id for point in sweep.points])
    return {point.name: found.statuses[point.id].state for point in sweep.points}


def settle(bench: Bench, sweep: Sweep) -> dict[str, State]:
    until(lambda: is_settled(tend(bench.root, sweep.name)))
    return states(bench, sweep)


def test_a_retry_submits_what_failed_and_leaves_what_is_done_cancelled_or_running(
    bench: Bench,
) -> None:
    bench.script("a", "claim", "fail no")
    bench.script("c", "claim", "wait", "finish")
    sweep = bench.load("a", "b", "c")
    launch(sweep, root_path=bench.root.path, data_root=bench.data)
    until(lambda: states(bench, sweep) == {"a": "FAILED", "b": "DONE", "c": "RUNNING"})
    bench.script("a", "claim", "finish")

    retried = retry(bench.root, select(bench.root, "s"))

    assert retried.submitted == (sweep.points[0].id,)
    assert (retried.later, retried.orphans, retried.warnings) == ((), (), ())
    cancel(bench.root, [sweep.points[2].id])
    assert settle(bench, sweep) == {"a": "DONE", "b": "DONE", "c": "CANCELLED"}
    assert retry(bench.root, select(bench.root, "s")).submitted == ()


@pytest.mark.parametrize("by", ["retry", "launch"])
def test_a_job_that_was_given_up_has_all_its_tries_again_when_a_person_asks(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    monkeypatch.setitem(RULES, "killed", replace(RULES["killed"], retries=1, back_off_s=0.1))
    bench.script("a", "claim", "kill 9")
    sweep = bench.load("a")
    launch(sweep, root_path=bench.root.path, data_root=bench.data)
    assert settle(bench, sweep) == {"a": State.FAILED}
    assert len(bench.attempts_on(sweep.points[0].id)) == 2

    if by == "retry":
        retry(bench.root, select(bench.root, "s/a"))
    else:
        launch(sweep, root_path=bench.root.path, data_root=bench.data)

    assert settle(bench, sweep) == {"a": State.FAILED}
    assert len(bench.attempts_on(sweep.points[0].id)) == 4


def test_a_retry_of_a_job_that_no_sweep_has_any_more_says_so(bench: Bench) -> None:
    bench.script("a", "claim", "fail no")
    sweep = bench.load("a", "b")
    launch(sweep, root_path=bench.root.path, data_root=bench.data)
    until(lambda: states(bench, sweep) == {"a": "FAILED", "b": "DONE"})
    launch(bench.load("b"), root_path=bench.root.path, data_root=bench.data)

    retried = retry(bench.root, select(bench.root, sweep.points[0].id[:8]))

    assert (retried.submitted, retried.orphans) == ((), (sweep.points[0].id,))


def test_a_retry_of_what_failed_leaves_what_is_held_where_it_is(bench: Bench) -> None:
    bench.script("a", "claim", "fail no")
    sweep = bench.load("a", "b", "c")
    launch(sweep, root_path=bench.root.path, data_root=bench.data, wishes=Wishes(canary=True))
    until(lambda: states(bench, sweep)["a"] is State.FAILED)

    retried = retry(bench.root, select(bench.root, "s"))

    assert retried.submitted == (sweep.points[0].id,)
    assert states(bench, sweep)["b"] is State.PLANNED
    assert len(bench.root.submissions()) == 2


def test_a_retry_goes_as_the_sweep_that_was_named_has_it(bench: Bench) -> None:
    bench.script("x", "claim", "fail no")
    where = {"root_path": bench.root.path, "data_root": bench.data}
    first = bench.load("x", name="a", text="resources: {time: 3h}\n")
    launch(first, **where)
    until(lambda: set(states(bench, first).values()) == {State.FAILED})
    second = bench.load("x", name="b", text="resources: {time: 7h}\n")
    write_revision(
        bench.root,
        "b",
        describe(
            second, Terms("local", 2, bench.data), launched_revision(bench.root, "a")["snapshot"]
        ),
    )

    retry(bench.root, select(bench.root, "b/x"), "b")

    (again,) = [s for s in read_submissions(bench.root) if s.resources.time == "7h"]
    assert again.jobs == [second.points[0].id]
