import json
import os
import time
from dataclasses import asdict
from pathlib import Path

import pytest
from fakes.place import FakePlace, attempt, recorded
from fakes.slurm import submission

from orchestrator.controller.survey import ABSENT_S, ORPHAN_S, settle, store_ends, survey
from orchestrator.jobs.evidence import LIVE_S, Sight, Sighting
from orchestrator.jobs.facts import End, Ending
from orchestrator.jobs.gather import recorded_ends
from orchestrator.jobs.layout import Root
from orchestrator.jobs.rules import RULES
from orchestrator.jobs.state import JobStatus, State
from orchestrator.jobs.store import create_root
from orchestrator.jobs.submissions import (
    Submission,
    is_open,
    read_absences,
    read_handle,
    write_intent,
    write_outcomes,
    write_submitted,
)

FIRST = time.time() - 10_000


class Watched:
    """A submission of jobs a, b, c to the fake place, looked at by whoever holds the lease."""

    def __init__(self, folder: Path, place: FakePlace) -> None:
        self.root, self.place = create_root(folder / "runs"), place
        self.one = submission("a", "b", "c", executor="fake")
        recorded(self.root, *self.one.jobs)
        self.folder = write_intent(self.root, self.one, "")
        write_submitted(self.folder, "h")

    def look(self, at: float, *jobs: str, **sights: Sight) -> dict[str, JobStatus]:
        """The place is asked so many seconds after the first time; it lacks all but ``sights``."""
        self.place.seen = {
            (self.one.token, n): Sighting(sights.get(job, Sight.ABSENT), asked=FIRST + at)
            for n, job in enumerate(self.one.jobs)
        }
        store_ends(self.root, survey(self.root, jobs or self.one.jobs))
        return dict(survey(self.root, self.one.jobs).statuses)

    def ends(self) -> dict[int, End]:
        return recorded_ends(self.root, self.one.token)

    def started(self, job: str, *, silent_s: float, ending: Ending | None = None) -> None:
        """An attempt, whose last sign of life is so old."""
        folder = attempt(self.root, job, self.one, ending=ending, time=FIRST - 100)
        os.utime(folder.started, (time.time() - silent_s,) * 2)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> FakePlace:
    return FakePlace(monkeypatch)


@pytest.fixture
def watched(tmp_path: Path, place: FakePlace) -> Watched:
    return Watched(tmp_path, place)


def test_ends_that_were_stored_twice_hide_no_member_that_is_open(watched: Watched) -> None:
    for _ in range(3):
        write_outcomes(watched.folder, [{"index": 0, **asdict(End(FIRST, started=True))}])

    assert watched.look(0, b=Sight.RUNNING, c=Sight.WAITING)["b"].state is State.RUNNING


def test_two_complete_answers_a_minute_apart_that_lack_a_member_are_its_end(
    watched: Watched,
) -> None:
    watched.started("a", silent_s=LIVE_S + 60)
    first = watched.look(0)
    soon = watched.look(ABSENT_S - 1)
    assert {s.state for s in (*first.values(), *soon.values())} == {State.UNKNOWN}
    assert watched.ends() == {}
    later = watched.look(ABSENT_S)

    assert later["a"] == JobStatus(
        *("a", State.FAILED, None, RULES["vanished"].meaning),
        due=True,
        kind="vanished",
        tries=1,
    )
    assert [later[job].state for job in "bc"] == [State.CANCELLED] * 2
    assert later["b"].reason == "fake no longer knows it, and it never started: it was cancelled"
    assert {i: (e.started, e.cancelled) for i, e in watched.ends().items()} == {
        0: (True, False),
        1: (False, True),
        2: (False, True),
    }
    assert watched.ends()[0].time == FIRST + ABSENT_S


def test_a_member_that_printed_something_was_not_cancelled_before_it_started(
    watched: Watched,
) -> None:
    watched.folder.batch_log(1).write_text("")
    watched.look(0)
    watched.look(ABSENT_S)

    assert watched.ends()[1].started
    assert not watched.ends()[1].cancelled


def test_a_member_that_is_seen_again_starts_over(watched: Watched) -> None:
    watched.look(0)
    watched.look(50, a=Sight.WAITING)
    watched.look(ABSENT_S)
    assert watched.ends().keys() == {1, 2}
    watched.look(ABSENT_S + 59)
    assert 0 not in watched.ends()
    watched.look(2 * ABSENT_S)

    assert watched.ends().keys() == {0, 1, 2}


def test_an_answer_that_is_lost_in_between_is_no_second_answer(watched: Watched) -> None:
    watched.look(0)
    watched.place.seen, watched.place.troubles = {}, ("no answer",)
    found = survey(watched.root, watched.one.jobs)
    store_ends(watched.root, found)

    assert (watched.ends(), list(found.troubles)) == ({}, ["no answer"])
    assert {status.state for status in found.statuses.values()} == {State.UNKNOWN}


def test_a_member_whose_heart_beats_has_not_ended_whatever_its_place_lacks(
    watched: Watched,
) -> None:
    watched.started("a", silent_s=5)
    watched.look(0)
    later = watched.look(3 * ABSENT_S)

    assert later["a"].state is State.RUNNING
    assert 0 not in watched.ends()


def test_members_of_jobs_that_were_not_looked_at_are_left_alone(watched: Watched) -> None:
    watched.look(0, "a")
    watched.look(ABSENT_S, "a")

    assert watched.ends().keys() == {0}


def test_since_when_a_member_is_missed_outlives_whoever_looked(watched: Watched) -> None:
    watched.look(0, b=Sight.RUNNING)
    assert read_absences(watched.folder) == {0: FIRST, 2: FIRST}
    written = watched.folder.absent.stat().st_ino
    watched.look(30, b=Sight.RUNNING)

    assert watched.folder.absent.stat().st_ino == written
    assert json.loads(watched.folder.absent.read_bytes())["since"] == {"0": FIRST, "2": FIRST}


def test_an_end_is_stored_once_and_an_end_seen_beats_an_inferred_one(watched: Watched) -> None:
    end = End(FIRST + 5, started=True, exit_code=1, detail="oh")
    watched.look(0)
    watched.place.seen[watched.one.token, 0] = Sighting(Sight.ENDED, end, FIRST + ABSENT_S)
    store_ends(watched.root, survey(watched.root, watched.one.jobs))
    watched.look(2 * ABSENT_S)
    watched.look(3 * ABSENT_S)

    assert watched.ends()[0] == end
    stored = [
        o for path in watched.folder.outcomes() for o in json.loads(path.read_bytes())["outcomes"]
    ]
    assert sorted(outcome["index"] for outcome in stored) == [0, 1, 2]


# Settling


def intent(root: Root, age_s: float = 0.0) -> Submission:
    one = submission("a", "b", executor="fake")
    folder = write_intent(root, one, "")
    os.utime(folder.intent, (time.time() - age_s,) * 2)
    return one


def test_an_intent_is_settled_by_what_its_place_answers(tmp_path: Path, place: FakePlace) -> None:
    root = create_root(tmp_path / "runs")
    taken, young, old = intent(root, 900), intent(root, ORPHAN_S - 60), intent(root, ORPHAN_S + 60)
    place.known = {taken.token: "h7"}
    settle(root)

    assert read_handle(root.submission(taken.token)) == "h7"
    assert is_open(root.submission(young.token))
    refused = root.submission(old.token).refused
    assert "fake does not know it" in json.loads(refused.read_bytes())["why"]


def test_without_an_answer_an_intent_stays_open_however_old(
    tmp_path: Path, place: FakePlace
) -> None:
    root = create_root(tmp_path / "runs")
    one = intent(root, 10 * ORPHAN_S)
    place.known = None
    settle(root)

    assert is_open(root.submission(one.token))


@pytest.mark.parametrize("answers", [True, False])
def test_a_worker_that_claimed_a_job_settles_its_intent_though_its_place_has_forgotten_it(
    tmp_path: Path, place: FakePlace, *, answers: bool
) -> None:
    root = create_root(tmp_path / "runs")
    claimed, other = intent(root, 10 * ORPHAN_S), intent(root, 10 * ORPHAN_S)
    attempt(root, "b", claimed, handle="31@alpha")
    attempt(root, "b", other, number=2)  # of a place that tells its workers no handle
    place.known = {} if answers else None
    settle(root)

    assert read_handle(root.submission(claimed.token)) == "31@alpha"
    assert is_open(root.submission(other.token)) is not answers
