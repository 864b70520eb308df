"""Whatever a cluster says of its jobs, or does not say: what is shown of them, and what is done."""

from pathlib import Path

import pytest
from fakes.arrays import leave
from support.mishaps import ERRORS, Mishaps
from support.rounds import Rounds

from orchestrator.jobs.facts import Ending
from orchestrator.jobs.state import State

LONG = pytest.mark.soak


@pytest.mark.parametrize(
    ("seed", "steps"),
    [
        *((seed, 40) for seed in range(4)),
        *(pytest.param(seed, 150, marks=LONG) for seed in range(100, 160)),
    ],
)
def test_among_mishaps_no_live_job_is_shown_dead_and_none_is_started_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, steps: int
) -> None:
    mishaps = Mishaps(Rounds(tmp_path, monkeypatch), seed)
    mishaps.move_clocks(monkeypatch)
    mishaps.somebody_watches()
    for _ in range(steps):
        mishaps.step()

    mishaps.comes_to_its_end()


@pytest.fixture
def mishaps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mishaps:
    """One job runs, one is starting, one waits anew, one is lost with its node; two wait."""
    made = Mishaps(Rounds(tmp_path, monkeypatch), seed=0)
    made.move_clocks(monkeypatch)
    made.rounds.round()
    for task, act in zip(
        made.tasks(waiting=True), ("runs", "starts", "stops", "dies"), strict=False
    ):
        task.becomes("RUNNING")
        if act != "starts":
            made.begins_its_work(task)
        if act == "stops":
            leave(made.alive.pop(task.file), Ending.STOPPED)
            task.becomes("PENDING", restart=1)
        if act == "dies":
            made.alive.pop(task.file)
            task.becomes("NODE_FAIL", where="sacct", end=made.now)
    return made


FAULTS = [
    *(((command,), fault) for command, faults in ERRORS.items() for fault in faults),
    *((("squeue", "sacct"), fault) for fault in ("down", "slow", "half and failing", "cut")),
]


@pytest.mark.parametrize(("commands", "fault"), FAULTS, ids=lambda what: f"{what}")
def test_a_command_that_errs_changes_nothing_about_what_lives_and_starts_nothing_twice(
    mishaps: Mishaps, commands: tuple[str, ...], fault: str
) -> None:
    for command in commands:
        mishaps.rounds.site.errs(command, fault)
    for _ in range(3):
        mishaps.is_told_truly()
        mishaps.somebody_watches()
        mishaps.passes(61)
    mishaps.rounds.site.mended()
    mishaps.passes(400)
    mishaps.somebody_watches()
    mishaps.is_told_truly()

    asked = mishaps.rounds.site.asked(mishaps.rounds.root)
    assert {job: count for job, count in asked.items() if count > 1} == {"d": 2}, "a node was lost"


def test_what_the_queue_and_accounting_both_hide_is_not_submitted_again(mishaps: Mishaps) -> None:
    for task in mishaps.rounds.site.tasks():
        task.becomes(task.state, where="none")
    before = sum(1 for _ in mishaps.rounds.site.tasks())
    for _ in range(4):
        mishaps.rounds.round()
        mishaps.passes(61)
        assert mishaps.rounds.states("a") == {"a": State.RUNNING}, "its heartbeat is young"
    new = list(mishaps.rounds.site.tasks())[before:]

    assert not {mishaps.job(task) for task in new} & {"a", "b", "e", "f"}


def test_a_job_whose_last_file_is_late_is_not_dead_and_the_watch_waits_for_it(
    mishaps: Mishaps,
) -> None:
    task = mishaps.rounds.site.task_of(mishaps.rounds.root, "a")
    mishaps.passes(5)
    attempt = mishaps.alive.pop(task.file)
    task.becomes("COMPLETED", end=mishaps.now)
    mishaps.passes(20)
    look = mishaps.rounds.round()
    assert look.found.statuses["a"].state is State.UNKNOWN
    assert "what it wrote last is not visible here yet" in look.found.statuses["a"].reason
    leave(attempt, Ending.FINISHED)
    assert mishaps.rounds.states("a") == {"a": State.DONE}
    attempt.exit.unlink()
    mishaps.passes(61)

    lost = mishaps.rounds.round().found.statuses["a"]
    assert lost.state is State.UNKNOWN, "it never came, and is not trained again unasked"
    assert "its exit.json is missing or damaged" in lost.reason


def test_a_worker_whose_first_file_is_late_as_well_is_not_submitted_again(mishaps: Mishaps) -> None:
    task = mishaps.rounds.site.task_of(mishaps.rounds.root, "b")
    task.becomes("COMPLETED", end=mishaps.now)
    mishaps.rounds.round()
    assert mishaps.rounds.states("b") == {"b": State.UNKNOWN}
    mishaps.passes(61)
    lost = mishaps.rounds.round().found.statuses["b"]

    assert lost.state is State.UNKNOWN
    assert "nothing that it measured is there" in lost.reason
    assert mishaps.rounds.site.asked(mishaps.rounds.root)["b"] == 1


def test_a_member_that_a_site_takes_away_before_it_started_is_cancelled_and_left_alone(
    mishaps: Mishaps,
) -> None:
    mishaps.rounds.site.task_of(mishaps.rounds.root, "e").becomes("CANCELLED", where="none")
    mishaps.rounds.round()
    assert mishaps.rounds.states("e") == {"e": State.UNKNOWN}
    for _ in range(3):
        mishaps.passes(61)
        mishaps.rounds.round()

    assert mishaps.rounds.states("e") == {"e": State.CANCELLED}
    assert mishaps.rounds.site.asked(mishaps.rounds.root)["e"] == 1
