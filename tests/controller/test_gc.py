"""What gc removes, and what it must not."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.place import CONFIG, FakePlace
from support.kept import (
    OLD_CODE,
    WEIGHTS,
    aged,
    leave_half,
    leave_snapshot,
    leave_state,
    leave_weights,
)
from support.world import World

from orchestrator.controller.garbage import (
    MAY_GO_ON,
    NO_WEIGHTS,
    Garbage,
    Scope,
    What,
    find_garbage,
)
from orchestrator.controller.gc import DAMAGED, Freed, as_json, free
from orchestrator.controller.snapshot import take_snapshot
from orchestrator.controller.survey import survey
from orchestrator.errors import BusyError
from orchestrator.jobs.facts import End, Ending
from orchestrator.jobs.lease import Lease
from orchestrator.jobs.records import write_job
from orchestrator.jobs.state import State
from orchestrator.jobs.store import write_revision
from orchestrator.jobs.submissions import Submission, write_intent, write_submitted

DONE, OTHER = "ab01", "ab02"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, FakePlace(monkeypatch))


@pytest.fixture
def done(world: World) -> World:
    """One job is done, with two states, the weights of an epoch, and those of its last step."""
    world.finish(DONE)
    for step in (5, 10):
        leave_state(world.root.job(DONE), 1, step)
        leave_weights(world.root.job(DONE), 1, step)
    return world


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def states_of(world: World, job: str = DONE) -> list[str]:
    return names(world.root.job(job).checkpoints)


def run(world: World, *jobs: str, older_than_s: float = 0.0) -> tuple[Garbage, Freed]:
    scope = Scope(world.root, jobs or None, older_than_s)
    found = find_garbage(scope)
    return found, free(scope, found)


def test_of_a_job_that_is_done_the_states_go_and_all_weights_stay(done: World) -> None:
    shown = done.rows()
    assert done.remembered() == {DONE}

    found, freed = run(done)

    kept = done.root.job(DONE).weights
    assert [thing.what for thing in found.things] == [What.CACHE, What.STATES, What.STATES]
    assert {thing.path for thing in freed.things} == {thing.path for thing in found.things}
    assert (freed.kept, freed.troubles, states_of(done)) == ({}, [], [])
    assert names(kept) == ["001-000000005", "001-000000010"]
    assert (kept / "001-000000010" / "weights.pt").read_bytes() == WEIGHTS
    assert not done.root.settled.exists()
    assert done.check() == shown
    assert run(done)[0].things == ()


def _without_weights(world: World) -> None:
    (world.root.job(DONE).weights / "001-000000010").rename(world.root.path / "moved")


def _with_weights_of_nothing(world: World) -> None:
    (world.root.job(DONE).weights / "001-000000010" / "weights.pt").write_bytes(b"")


def _launched_again(world: World) -> None:
    world.launch(DONE)


def _with_a_later_start(world: World) -> None:
    world.launch(DONE)
    world.start(DONE, from_step=10)


def _with_a_damaged_journal(world: World) -> None:
    world.root.job(DONE).attempt(1).journal.write_bytes(b"")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_without_weights, NO_WEIGHTS),
        (_with_weights_of_nothing, DAMAGED),
        (_launched_again, MAY_GO_ON),
        (_with_a_later_start, MAY_GO_ON),
        (_with_a_damaged_journal, "its journal is missing or damaged: it ends at step 0 of 10"),
    ],
)
@pytest.mark.parametrize("remembered", [False, True])
def test_the_states_of_a_done_job_stay_where_not_all_is_well_and_it_is_said_why(
    done: World, change: Callable[[World], None], why: str, *, remembered: bool
) -> None:
    if remembered and change is not _with_a_damaged_journal:
        done.rows()
    change(done)

    found, freed = run(done)

    assert {**found.kept, **freed.kept} == {DONE: why}
    assert states_of(done) == ["001-000000005", "001-000000010"]


@pytest.mark.parametrize(
    ("ending", "state"),
    [
        (None, State.RUNNING),
        (Ending.STOPPED, State.PREEMPTED),
        (Ending.ERROR, State.FAILED),
    ],
)
def test_a_job_that_is_not_done_keeps_its_states_and_the_code_that_wrote_them(
    world: World, ending: Ending | None, state: State
) -> None:
    (first,) = world.submissions
    folder = world.start(DONE)
    if ending:
        world.end(folder, ending)
        world.store_end(first, DONE)
    leave_state(world.root.job(DONE), 1, 5)
    leave_weights(world.root.job(DONE), 1, 5)
    write_intent(world.root, first.model_copy(update={"token": "t", "snapshot": OLD_CODE}), "")
    write_submitted(world.root.submission("t"), "h")
    lost = End(2e9, started=False, by_place=True)
    world.store_end(first.model_copy(update={"token": "t"}), DONE, lost)
    leave_snapshot(world.root)
    assert survey(world.root, [DONE]).statuses[DONE].state is state

    found, _ = run(world)

    assert (found.things, found.kept) == ((), {})
    assert states_of(world) == ["001-000000005"]


def test_what_is_launched_between_the_look_and_the_removal_is_not_touched(done: World) -> None:
    scope = Scope(done.root)
    leave_snapshot(done.root)
    found = find_garbage(scope)
    one = done.submissions[0].model_copy(
        update={"token": "t", "jobs": [DONE], "names": [DONE], "snapshot": OLD_CODE}
    )
    write_submitted(write_intent(done.root, one, ""), "h")

    freed = free(scope, found)

    assert {thing.what for thing in found.things} == {What.STATES, What.SNAPSHOTS}
    assert freed.things == []
    assert states_of(done) == ["001-000000005", "001-000000010"]
    assert names(done.root.snapshots) == [OLD_CODE]


def test_snapshots_go_that_nothing_may_be_started_from(done: World) -> None:
    codes = {f"{number:016x}": number for number in range(4)}
    old, revised, tending, due = codes
    for name in (*codes, "mine"):
        leave_snapshot(done.root, name)
    today = take_snapshot(done.root)
    for number, code in enumerate((old, revised)):
        write_revision(done.root, "s", {"schema": 2, "snapshot": code, "jobs": [], "n": number})
    (done.root.sweep("s") / "tender.sh").write_text(f"PYTHONPATH={done.root.snapshots / tending}")
    _submitted(done, DONE, code=old)
    _submitted(done, OTHER, code=due)

    found, _ = run(done)

    assert [t.path.name for t in found.things if t.what is What.SNAPSHOTS] == [old]
    assert names(done.root.snapshots) == sorted([revised, tending, due, "mine", today])


def _submitted(world: World, job: str, *, code: str) -> Submission:
    """A submission whose member ended."""
    changes = {"token": f"t{code}", "jobs": [job], "names": [job], "snapshot": code}
    one = world.submissions[0].model_copy(update=changes)
    write_submitted(write_intent(world.root, one, ""), "h")
    world.store_end(one, job)
    return one


def test_leftovers_go_after_a_day_and_what_was_set_aside_at_once(world: World) -> None:
    root, job = world.root, world.root.job(OTHER)
    old = [
        leave_half(root.path),
        leave_half(job.attempts),
        leave_half(job.checkpoints),
        leave_half(root.snapshots),
        leave_half(job.weights, days=0, name=".tmp-gone-001-000000005-abc"),
    ]
    (root.path / ".tmp-file").write_bytes(b"half")
    old.append(aged(root.path / ".tmp-file", 2))
    kept = [
        leave_half(root.path, days=0.9, name=".tmp-young"),
        leave_half(root.mlflow / "artifacts"),
        leave_half(root.snapshots / OLD_CODE),
        leave_half(job.probes, name="tmp-no"),
    ]
    write_revision(root, "s", {"schema": 2, "snapshot": OLD_CODE, "jobs": []})

    found, freed = run(world)

    assert {thing.path for thing in freed.things} == {*old}
    assert [thing.bytes for thing in found.things] == [4] * 6
    assert not any(path.exists() for path in old)
    assert all(path.exists() for path in kept)


def test_jobs_that_are_named_are_freed_alone(done: World) -> None:
    done.finish(OTHER)
    for job in (DONE, OTHER):
        leave_state(done.root.job(job), 1, 10)
        leave_weights(done.root.job(job), 1, 10)
        leave_half(done.root.job(job).path)
    leave_snapshot(done.root)
    leave_half(done.root.path)

    _, freed = run(done, OTHER)

    assert {thing.what for thing in freed.things} == {What.STATES, What.LEFTOVERS}
    assert (len(states_of(done)), states_of(done, OTHER)) == (2, [])
    assert names(done.root.snapshots) == [OLD_CODE]
    assert (done.root.path / ".tmp-half").exists()
    assert (done.root.job(DONE).path / ".tmp-half").exists()


def test_only_what_is_old_enough_goes(done: World) -> None:
    aged(done.root.job(DONE).checkpoints / "001-000000005", 8)
    aged(leave_snapshot(done.root), 8)

    run(done, older_than_s=7 * 86400.0)

    assert states_of(done) == ["001-000000010"]
    assert names(done.root.snapshots) == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_what_is_of_others_is_counted_and_left(done: World) -> None:
    os.chown(leave_half(done.root.path), 12345, -1)
    os.chown(done.root.job(DONE).checkpoints / "001-000000005", 12345, -1)

    found, freed = run(done)

    told = as_json(found.things, found.kept, {}, [])
    rows = {row["what"]: (row["things"], row["of_others"]) for row in told["rows"]}
    assert rows == {What.LEFTOVERS: (0, 1), What.STATES: (1, 1)}
    assert told["bytes"] == sum(thing.bytes for thing in freed.things)
    assert states_of(done) == ["001-000000005"]
    assert (done.root.path / ".tmp-half").exists()


def test_one_that_cannot_be_removed_hinders_no_other_and_is_told(
    done: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_snapshot(done.root)
    rename = Path.rename

    def refusing(path: Path, target: Path) -> Path:
        if path.name == "001-000000005":
            raise PermissionError(13, "Permission denied", str(path))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refusing)
    _, freed = run(done)

    (trouble,) = freed.troubles
    assert trouble.endswith("001-000000005: Permission denied")
    assert states_of(done) == ["001-000000005"]
    assert names(done.root.snapshots) == []


def test_without_the_lease_nothing_but_leftovers_goes(
    done: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_half(done.root.path)
    monkeypatch.setattr(Lease, "mine", lambda _: False)

    with pytest.raises(BusyError, match="Another process took over"):
        run(done)

    assert states_of(done) == ["001-000000005", "001-000000010"]
    assert not (done.root.path / ".tmp-half").exists()


def test_a_job_of_which_no_sweep_and_no_submission_knows_is_left_alone(done: World) -> None:
    write_job(done.root, "ff01", CONFIG)
    leave_state(done.root.job("ff01"), 1, 10)
    leave_weights(done.root.job("ff01"), 1, 10)

    run(done)

    assert states_of(done, "ff01") == ["001-000000010"]
