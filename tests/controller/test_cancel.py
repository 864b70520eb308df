from pathlib import Path

import pytest
from fakes.place import FakePlace, attempt

from orchestrator.controller.cancel import cancel, cancel_again
from orchestrator.controller.survey import store_ends, survey
from orchestrator.errors import Unclear
from orchestrator.jobs.evidence import Sight, Sighting
from orchestrator.jobs.facts import End, read_submissions, recorded_ends
from orchestrator.jobs.layout import Root
from orchestrator.jobs.state import State
from orchestrator.jobs.store import create_root
from orchestrator.jobs.submissions import Submission, write_intent, write_submitted


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return create_root(tmp_path / "runs")


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, root: Root) -> FakePlace:
    """A place that took a job and says nothing of it since."""
    made = FakePlace(monkeypatch)
    submission = Submission.from_plain(
        {
            "executor": "fake",
            "jobs": ["j"],
            "names": ["j"],
            "placement": {},
            "max_parallel": None,
            "snapshot": "c",
            "python": "p",
            "data_root": "/d",
            "owner": "me",
        }
    )
    write_submitted(write_intent(root, submission, ""), "h")
    return made


def test_a_job_whose_place_cannot_be_reached_from_here_is_given_up_and_that_is_said(
    root: Root, place: FakePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "cancel", lambda _: ["it is on another cluster"])
    assert survey(root, ["j"]).statuses["j"].state is State.UNKNOWN

    assert cancel(root, ["j"]) == ["it is on another cluster"]

    assert survey(root, ["j"]).statuses["j"].state is State.CANCELLED


def test_a_job_whose_place_did_not_hear_the_cancel_is_not_given_up_and_the_order_stands(
    root: Root, place: FakePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unheard(_: object) -> list[str]:
        raise Unclear("no answer")

    monkeypatch.setattr(place, "cancel", unheard)
    with pytest.raises(Unclear):
        cancel(root, ["j"])

    found = survey(root, ["j"])
    assert found.statuses["j"].state is State.UNKNOWN
    assert [order.what for order in found.standing.cancels["j"]] == ["cancel"]


def test_a_known_end_is_kept_when_its_job_is_cancelled(root: Root, place: FakePlace) -> None:
    (submission,) = read_submissions(root)
    end = End(5.0, started=True, exit_code=1, detail="no module named torch")
    place.seen[submission.token, 0] = Sighting(Sight.ENDED, end)
    cancel(root, ["j"])

    assert recorded_ends(root, submission.token) == {0: end}


def test_a_member_that_was_started_again_after_its_end_was_stored_is_asked_to_stop(
    root: Root, place: FakePlace
) -> None:
    (submission,) = read_submissions(root)
    place.seen[submission.token, 0] = Sighting(Sight.ENDED, End(5.0, started=True, signal=15))
    store_ends(root, survey(root, ["j"]))
    place.seen.clear()
    attempt(root, "j", submission)
    assert survey(root, ["j"]).statuses["j"].state is State.RUNNING
    cancel(root, ["j"])
    cancel_again(root, survey(root, ["j"]))

    assert place.cancelled == [(submission.token, 0)] * 2
