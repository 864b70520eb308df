"""How far jobs are, by axis, and which of them matter."""

import pytest
from support.rows import row

from orchestrator.controller.progress import (
    PHASES,
    URGENCY,
    Progress,
    most_urgent,
    progress_by_axis,
)
from orchestrator.jobs.state import State


def test_every_state_has_a_phase_and_a_rank() -> None:
    assert set(PHASES) == set(URGENCY) == set(State)
    assert len(URGENCY) == len(State)


def test_a_job_that_is_done_counts_in_full_wherever_it_ended() -> None:
    rows = [
        row("a", State.DONE, 10),
        row("b", State.DONE, 3, outcome="diverged"),
        row("c", State.RUNNING, 4),
        row("d"),
    ]

    told = Progress.of(rows)

    assert (told.jobs, told.epochs, told.asked) == (4, 17, 40)
    assert told.share == pytest.approx((10 + 10 + 4 + 0) / 40)
    assert told.phases == {"done": 2, "running": 1, "waiting": 1}


def test_jobs_whose_epochs_are_not_known_count_by_their_number() -> None:
    rows = [row("a", State.DONE, epochs=0), row("b", epochs=0)]

    assert Progress.of(rows).share == 0.5
    assert Progress.of([]).share == 0


def test_axes_are_those_on_which_jobs_differ_in_the_order_of_the_sweep() -> None:
    rows = [row("a", State.DONE, 10), row("b", State.RUNNING, 5), row("c", State.FAILED, 1)]
    rows.append(row("of no sweep"))
    places = [
        {"train.batch_size": 32, "optim.lr": 0.1, "seed": 0},
        {"train.batch_size": 32, "optim.lr": 0.1, "seed": 1},
        {"train.batch_size": 32, "optim.lr": None, "seed": 0},
        None,
    ]

    told = progress_by_axis(rows, {r.id: at for r, at in zip(rows, places, strict=True)})

    values = [(one.axis, one.value, one.progress.jobs, one.progress.epochs) for one in told]
    assert values == [
        ("optim.lr", "0.1", 2, 15),
        ("optim.lr", "none", 1, 1),
        ("seed", "0", 2, 11),
        ("seed", "1", 1, 5),
    ]


def test_jobs_that_all_fit_stay_as_they_come() -> None:
    rows = [row("a"), row("b", State.FAILED), row("c", State.RUNNING)]

    assert most_urgent(rows, 3) == rows


def test_what_failed_comes_first_and_leaves_room_for_what_runs() -> None:
    rows = [row(f"w{n}") for n in range(9)]
    rows += [row(f"r{n}", State.RUNNING) for n in range(9)]
    rows += [row(f"f{n}", State.FAILED) for n in range(9)]
    few = [*rows[:9], rows[9], *rows[18:]]

    assert [one.name for one in most_urgent(rows, 6)] == ["f0", "f1", "f2", "r0", "r1", "r2"]
    assert [one.name for one in most_urgent(few, 4)] == ["f0", "f1", "f2", "r0"]
    assert [one.name for one in most_urgent(rows[:18], 2)] == ["r0", "r1"]
