"""What is remembered of jobs that are done changes nothing that is shown, and saves the reading."""

import itertools
import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.place import FakePlace, recorded
from support.world import JOBS, OVER, World

from orchestrator.controller.survey import settle, survey
from orchestrator.jobs.evidence import Sight, Sighting
from orchestrator.jobs.facts import Ending, final_attempt, read_attempts
from orchestrator.jobs.files import publish
from orchestrator.jobs.orders import Order, read_orders, write_order
from orchestrator.jobs.state import State
from orchestrator.jobs.submissions import (
    is_open,
    write_refused,
    write_submitted,
)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, FakePlace(monkeypatch))


@pytest.fixture
def done(world: World) -> World:
    """Everything is done, and remembered."""
    world.finish(*world.jobs)
    assert {row.state for row in world.rows()} == {State.DONE}
    assert world.remembered() == set(world.jobs)
    return world


def _relaunch(world: World) -> None:
    world.launch("ab01")


def _relaunch_unanswered(world: World) -> None:
    world.launch("ab01", answered=False)


def _run_again(world: World) -> None:
    _remove(world)
    world.launch("ab01")
    world.start("ab01")


def _order(world: World) -> None:
    write_order(world.root, Order(what="cancel", jobs=["ab01", "cd03"]))


def _outcome(world: World) -> None:
    world.store_end(world.submissions[0], "ab01")


def _seen_again(world: World) -> None:
    world.place.seen = {(world.submissions[0].token, 0): Sighting(Sight.RUNNING)}


def _remove(world: World) -> None:
    shutil.rmtree(world.root.job("ab01").path)


def _remove_and_launch_half(world: World) -> None:
    """The launch is killed before its intent: the folder is there again, with nothing in it."""
    _remove(world)
    survey(world.root, world.jobs)
    recorded(world.root, "ab01")


def _remove_submission(world: World) -> None:
    shutil.rmtree(world.root.submission(world.submissions[0].token).path)


def _damage(world: World) -> None:
    content = bytearray(world.root.settled.read_bytes())
    content[len(content) // 2] ^= 1
    world.root.settled.write_bytes(bytes(content))


def _cut(world: World) -> None:
    content = world.root.settled.read_bytes()
    world.root.settled.write_bytes(content[: len(content) // 2])


def _other_schema(world: World) -> None:
    content = world.root.settled.read_bytes()
    world.root.settled.write_bytes(b"0" + content)


def _folder_in_its_place(world: World) -> None:
    world.root.settled.unlink()
    world.root.settled.mkdir()


CHANGES: dict[Callable[[World], None], dict[str, State]] = {
    _relaunch: {},
    _relaunch_unanswered: {},
    _run_again: {"ab01": State.RUNNING},
    _order: {},
    _outcome: {},
    _seen_again: {},
    _remove: {"ab01": State.UNKNOWN},
    _remove_and_launch_half: {"ab01": State.UNKNOWN},
    _remove_submission: {},
    _damage: {},
    _cut: {},
    _other_schema: {},
}
"""What may happen to jobs that are done, and the states of those that are so no more."""


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_whatever_happens_to_a_done_job_its_row_is_that_of_its_files(
    done: World, change: Callable[[World], None]
) -> None:
    change(done)
    states = {row.id: row.state for row in done.check()}

    assert states == {**dict.fromkeys(done.jobs, State.DONE), **CHANGES[change]}


def test_without_a_place_for_the_file_everything_is_read(done: World) -> None:
    _folder_in_its_place(done)

    assert {row.state for row in done.rows()} == {State.DONE}
    assert done.remembered() == set()


def test_only_what_is_done_and_at_which_nobody_is_any_more_is_remembered(world: World) -> None:
    first, second, third = JOBS
    world.end(world.start(first))  # its place still has the member
    world.end(world.start(second), Ending.ERROR)
    world.store_end(world.submissions[0], second)
    world.start(third)
    states = [row.state for row in world.check()]
    assert (states, world.remembered()) == ([State.DONE, State.FAILED, State.RUNNING], set())
    world.place.seen = {(world.submissions[0].token, 0): Sighting(Sight.ENDED, OVER)}
    world.rows()

    assert world.remembered() == {first}


def test_a_job_whose_journal_or_record_is_damaged_is_looked_at_each_time(world: World) -> None:
    world.finish("ab01", "ab02")
    world.root.job("ab01").attempt(1).journal.unlink()
    world.root.job("ab02").record.unlink()
    rows = world.check()

    assert "journal is missing" in rows[0].reason
    assert "job.json is missing" in rows[1].reason
    assert world.remembered() == set()


def test_an_attempt_that_says_late_that_it_finished_makes_nothing_settled(world: World) -> None:
    late, one = world.start("ab01"), world.submissions[0]
    again = world.launch("ab01")
    world.start("ab01", from_step=2)
    world.end(late)
    for each in (one, again):
        world.store_end(each, "ab01")
    world.check()

    assert world.remembered() == set()


def test_the_facts_of_a_remembered_job_are_read_when_they_are_asked_for(done: World) -> None:
    found = survey(done.root, done.jobs)
    assert found.submissions == []
    facts = found.facts["cd03"]

    assert [one.ending for one in facts.attempts] == [Ending.FINISHED]
    assert [(m.token, m.index) for m in facts.members] == [(done.submissions[0].token, 2)]
    assert set(found.facts) == set(JOBS)
    assert (len(found.facts), found.facts.get("another")) == (3, None)


def test_an_open_intent_is_settled_beside_what_is_remembered(world: World) -> None:
    one = world.launch("ab01", answered=False)
    world.finish("cd03")
    world.rows()
    assert world.remembered() == {"cd03"}
    world.place.known = {one.token: "h7"}
    settle(world.root)

    assert not is_open(world.root.submission(one.token))
    world.check()


def test_a_start_that_went_on_from_the_end_of_a_done_job_may_still_measure(world: World) -> None:
    world.finish("ab01")
    again = world.launch("ab01")
    world.start("ab01", from_step=10)
    world.store_end(again, "ab01")
    first = world.check()[0]

    assert (first.state, first.step, world.remembered()) == (State.DONE, 20, set())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_after_any_history_the_rows_are_those_of_the_files(world: World, seed: int) -> None:
    """Files that others wrote before, and put in place of newer ones, included."""
    dice, older = random.Random(seed), [b""]  # noqa: S311 - histories, not secrets
    for _ in range(40):
        _happens(world, dice, dice.choice(world.jobs))
        if dice.random() < 0.5:
            world.check()
        if world.root.settled.exists():
            older.append(world.root.settled.read_bytes())
        if dice.random() < 0.2:
            publish(world.root.settled, dice.choice(older))
    assert len(older) > 1


def _happens(world: World, dice: random.Random, job: str) -> None:  # noqa: C901 - a list of them
    """What may happen to a job next; a worker starts only what is not done."""
    one = next(one for one in reversed(world.submissions) if job in one.jobs)
    folder, attempts = world.root.submission(one.token), read_attempts(world.root.job(job))
    sight, member = dice.choice(list(Sight)), (one.token, one.jobs.index(job))

    def go_on() -> None:
        if not final_attempt(attempts) and not is_open(folder):
            world.start(job, dice.choice([None, 5, 10]))

    def leave() -> None:
        if attempts:
            left = world.root.job(job).attempt(dice.choice(attempts).number)
            if not left.exit.exists():
                world.end(left, dice.choice([Ending.FINISHED, Ending.FINISHED, *Ending]))

    def answer() -> None:
        if is_open(folder):
            (write_refused if dice.random() < 0.5 else write_submitted)(folder, "h")

    def remove_and_launch() -> None:
        shutil.rmtree(world.root.job(job).path, ignore_errors=True)
        world.launch(job)

    def decide() -> None:
        orders = [order.id for order in read_orders(world.root)]
        lifts = Order(what="lift", jobs=[job], lifts=orders)
        write_order(world.root, dice.choice([lifts, Order(what="cancel", jobs=[job])]))

    def see() -> None:
        world.place.seen[member] = Sighting(sight, OVER if sight is Sight.ENDED else None)

    def end_and_store() -> None:
        leave()
        world.store_end(one, job)

    steps = {
        go_on: 6,
        leave: 3,
        end_and_store: 6,
        see: 2,
        decide: 1,
        answer: 2,
        remove_and_launch: 1,
        lambda: world.launch(job, answered=dice.random() < 0.8): 1,
    }
    dice.choices(list(steps), list(steps.values()))[0]()


class Counted:
    """Counts what is opened and listed, and which files are asked about."""

    def __init__(self) -> None:
        self.on, self.calls = False, 0
        sys.addaudithook(self._audit)

    def _audit(self, event: str, _: object) -> None:
        if self.on and event in ("open", "os.scandir", "os.listdir"):
            self.calls += 1

    def of(self, work: Callable[[], object]) -> int:
        self.on, self.calls = True, 0
        try:
            work()
        finally:
            self.on = False
        return self.calls


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counted]:
    made, stat = Counted(), os.stat

    def asked(*args: Any, **options: Any) -> os.stat_result:
        made.calls += made.on
        return stat(*args, **options)

    monkeypatch.setattr(os, "stat", asked)
    return made


@pytest.mark.parametrize("running", [0, 2])
def test_how_many_files_are_touched_does_not_depend_on_how_many_jobs_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counted: Counted, running: int
) -> None:
    def calls(folder: Path, ended: int) -> int:
        jobs = tuple(f"ab{i:030d}" for i in range(ended + running))
        world = World(folder, FakePlace(monkeypatch), jobs[:ended])
        for job in itertools.islice(jobs, ended):
            world.launch(job)
            world.finish(job)
        world.store_end(world.submissions[0], jobs[0])
        world.place.seen = {
            (world.submissions[0].token, i): Sighting(Sight.ENDED, OVER) for i in range(ended)
        }
        world.jobs = jobs
        for job in jobs[ended:]:
            world.launch(job)
            world.start(job)
        world.rows()
        return counted.of(world.rows)

    few, many = calls(tmp_path / "few", 5), calls(tmp_path / "many", 25)
    assert few == many
