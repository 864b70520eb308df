import pytest
from support.pool_bench import Bench, until

from orchestrator.controller.launch import Wishes, launch
from orchestrator.controller.launched import Launched
from orchestrator.controller.survey import survey
from orchestrator.controller.trial import shape_of
from orchestrator.controller.watch import is_settled, tend, tend_all
from orchestrator.executors import EXECUTORS
from orchestrator.jobs.state import State
from orchestrator.jobs.store import launched_revision, write_revision
from orchestrator.sweep.expand import Sweep
from orchestrator.sweep.load import load_sweep

POINT = 'point 1 {"train/loss": 1.0}'


def go(bench: Bench, sweep: Sweep, *, canary: bool = True) -> Launched:
    wishes = Wishes(canary=canary)
    return launch(sweep, root_path=bench.root.path, data_root=bench.data, wishes=wishes)


def states(bench: Bench, sweep: Sweep) -> dict[str, State]:
    found = survey(bench.root, [point.id for point in sweep.points])
    return {point.name: found.statuses[point.id].state for point in sweep.points}


def settle(bench: Bench, sweep: Sweep) -> dict[str, State]:
    until(lambda: is_settled(tend(bench.root, sweep.name)))
    return states(bench, sweep)


@pytest.mark.slow
def test_jobs_follow_their_trial_job_once_it_has_taken_steps_and_it_simply_goes_on(
    bench: Bench,
) -> None:
    bench.script("a", "claim", "wait", POINT, "finish")
    sweep = bench.load("a", "b", "c")

    launched = go(bench, sweep)
    until(lambda: bench.attempts_on(sweep.points[0].id))
    look = tend_all(bench.root, ["s"])

    assert launched.submitted == (sweep.points[0].id,)
    assert launched.behind == (sweep.points[1].id, sweep.points[2].id)
    assert states(bench, sweep) == {"a": "RUNNING", "b": "PLANNED", "c": "PLANNED"}
    assert look.notes == ("2 job(s) held: until its trial job has taken steps (a)",)
    bench.go("a")
    assert settle(bench, sweep) == dict.fromkeys("abc", State.DONE)
    assert [len(bench.attempts_on(point.id)) for point in sweep.points] == [1, 1, 1]


@pytest.mark.slow
def test_what_a_failed_trial_job_holds_back_waits_for_a_person(bench: Bench) -> None:
    bench.script("a", "claim", "fail no")
    sweep = bench.load("a", "b", "c")
    go(bench, sweep)

    assert settle(bench, sweep) == {"a": "FAILED", "b": "PLANNED", "c": "PLANNED"}
    bench.script("a", "claim", "finish")
    assert len(go(bench, sweep, canary=False).submitted) == 3
    assert settle(bench, sweep) == dict.fromkeys("abc", State.DONE)


@pytest.mark.slow
def test_steps_that_a_trial_job_took_before_count_for_nothing(bench: Bench) -> None:
    bench.script("a", "claim", POINT, "fail no")
    sweep = bench.load("a", "b")
    launch(bench.load("a"), root_path=bench.root.path, data_root=bench.data)
    until(lambda: states(bench, bench.load("a")) == {"a": "FAILED"})
    bench.script("a", "claim", "wait", POINT, "finish")

    go(bench, bench.load("a", "b"))
    until(lambda: len(bench.attempts_on(sweep.points[0].id)) == 2)
    tend(bench.root, "s")

    assert states(bench, sweep) == {"a": "RUNNING", "b": "PLANNED"}
    bench.go("a")
    assert settle(bench, sweep) == dict.fromkeys("ab", State.DONE)


@pytest.mark.slow
def test_a_watch_of_another_sweep_that_shares_a_held_job_does_not_let_it_go(bench: Bench) -> None:
    bench.script("a", "claim", "wait", POINT, "finish")
    sweep = bench.load("a", "b", "c")
    launch(bench.load("d", name="other"), root_path=bench.root.path, data_root=bench.data)
    go(bench, sweep)
    shared = launched_revision(bench.root, "s")
    kept = [job for job in shared["jobs"] if job["name"] == "b"]
    write_revision(bench.root, "other", {**shared, "name": "other", "jobs": kept})

    tend(bench.root, "other")

    assert states(bench, sweep)["c"] is State.PLANNED
    assert len(bench.root.submissions()) == 2
    bench.go("a")
    assert settle(bench, sweep) == dict.fromkeys("abc", State.DONE)


@pytest.mark.slow
def test_each_shape_has_a_trial_job_of_its_own_and_waits_for_no_other(bench: Bench) -> None:
    path = bench.sweep("a", "b")
    wide = "      {}: {{optim.lr: {}, model.dim: 32}}\n"
    path.write_text(path.read_text() + wide.format("c", 0.1) + wide.format("d", 0.2))
    sweep = load_sweep(path, executors=EXECUTORS)
    bench.script("a", "claim", "fail no")

    launched = go(bench, sweep)

    assert {p.name for p in sweep.points if p.id in launched.submitted} == {"a", "c"}
    assert settle(bench, sweep) == {"a": "FAILED", "b": "PLANNED", "c": "DONE", "d": "DONE"}


@pytest.mark.slow
def test_a_launch_with_trial_jobs_repeated_while_they_run_keeps_the_others_waiting(
    bench: Bench,
) -> None:
    bench.script("a", "claim", "wait", POINT, "finish")
    sweep = bench.load("a", "b", "c")
    go(bench, sweep)
    until(lambda: bench.attempts_on(sweep.points[0].id))

    again = go(bench, sweep)

    assert (again.submitted, len(again.behind)) == ((sweep.points[1].id,), 1)
    bench.go("a")
    assert settle(bench, sweep) == dict.fromkeys("abc", State.DONE)


@pytest.mark.parametrize(
    ("setting", "alike"),
    [
        ("optim.lr=0.5", True),
        ("probe.every_epochs=7", True),
        ("model.dim=32", False),
        ("train.batch_size=32", False),
    ],
)
def test_what_a_job_needs_is_its_shape_and_what_it_learns_with_is_not(
    bench: Bench, setting: str, *, alike: bool
) -> None:
    path = bench.sweep("a")

    plain, other = (
        load_sweep(path, overrides=asked, executors=EXECUTORS).points[0]
        for asked in ([], [setting])
    )

    assert (shape_of(plain) == shape_of(other)) is alike
