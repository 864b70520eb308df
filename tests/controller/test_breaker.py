from collections import Counter

import pytest
from support.pool_bench import Bench, until

from orchestrator.controller.breaker import common_failure
from orchestrator.controller.launch import Wishes, launch
from orchestrator.controller.survey import survey
from orchestrator.controller.watch import tend_all
from orchestrator.jobs.state import JobStatus, State
from orchestrator.sweep.expand import Sweep


def jobs(state: State, count: int, kind: str = "", *, due: bool = False) -> list[JobStatus]:
    return [JobStatus("", state, kind=kind, due=due)] * count


@pytest.mark.parametrize(
    ("found", "most", "kind"),
    [
        (jobs(State.FAILED, 5, "import"), 5, "import"),
        (jobs(State.FAILED, 4, "import"), 5, None),
        (jobs(State.FAILED, 3, "import") + jobs(State.FAILED, 3, "config"), 5, None),
        (jobs(State.FAILED, 6, "import") + jobs(State.DONE, 5), 5, "import"),
        (jobs(State.FAILED, 5, "import") + jobs(State.DONE, 5), 5, None),
        (jobs(State.FAILED, 5, "files", due=True), 5, None),
        (jobs(State.PREEMPTED, 50, "node"), 5, None),
        (jobs(State.FAILED, 50, "import"), None, None),
        (jobs(State.FAILED, 1, "import"), 1, "import"),
        ([], 1, None),
    ],
)
def test_a_failure_is_common_if_so_many_were_given_up_for_it_and_fewer_are_done(
    found: list[JobStatus], most: int | None, kind: str | None
) -> None:
    assert common_failure({str(n): status for n, status in enumerate(found)}, most) == kind


def states(bench: Bench, sweep: Sweep) -> Counter[State]:
    found = survey(bench.root, [point.id for point in sweep.points])
    return Counter(status.state for status in found.statuses.values())


@pytest.mark.slow
def test_a_sweep_whose_jobs_fail_alike_starts_no_more_of_them_until_it_is_launched_again(
    bench: Bench,
) -> None:
    for name in "abc":
        bench.script(name, "claim", "fail no such layer")
    bench.script("d", "claim", "wait", "finish")
    sweep = bench.load(*"abcdefgh", text="max_failures: 3\n")
    where = {"root_path": bench.root.path, "data_root": bench.data}
    bench.script("e", "claim", "wait", "finish")
    launch(sweep, **where)
    until(lambda: states(bench, sweep)[State.FAILED] == 3)
    until(lambda: states(bench, sweep)[State.RUNNING] == 2)

    told = tend_all(bench.root, ["s"]).notes
    until(lambda: states(bench, sweep)[State.PLANNED] == 3)  # the pool has given them back
    bench.go("d", "e")
    until(lambda: (look := tend_all(bench.root, ["s"])).settled and look)

    assert states(bench, sweep) == {State.FAILED: 3, State.DONE: 2, State.PLANNED: 3}
    (note,) = told
    assert note.startswith("3 job(s) held: 3 jobs of s failed alike (exception: ")
    assert "orchestrate failures s" in note
    assert tend_all(bench.root, ["s"]).notes == told  # said again, decided once
    assert len(list(bench.root.orders.iterdir())) == 1
    for name in "abc":
        bench.script(name, "claim", "finish")
    assert len(launch(sweep, **where).submitted) == 6
    until(lambda: states(bench, sweep) == {State.DONE: 8})


@pytest.mark.slow
def test_failures_that_a_launch_has_forgiven_withdraw_no_trial_job(bench: Bench) -> None:
    names = "abcd"
    for name in names:
        bench.script(name, "claim", "fail no such layer")
    sweep = bench.load(*names, text="max_failures: 2\n")
    where = {"root_path": bench.root.path, "data_root": bench.data}
    launch(sweep, **where)
    until(lambda: states(bench, sweep) == {State.FAILED: 4})
    bench.script("a", "wait", "claim", 'point 1 {"train/loss": 1.0}', "finish")
    for name in names[1:]:
        bench.script(name, "claim", "finish")

    launch(sweep, **where, wishes=Wishes(canary=True))
    tend_all(bench.root, ["s"])

    found = survey(bench.root, [point.id for point in sweep.points])
    assert sweep.points[0].id not in found.standing.holds
    bench.go("a")
    until(lambda: (look := tend_all(bench.root, ["s"])).settled and look)
    assert states(bench, sweep) == {State.DONE: 4}
