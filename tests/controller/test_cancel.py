from pathlib import Path

import pytest
from fakes.place import FakePlace

from orchestrator.controller.cancel import cancel
from orchestrator.controller.survey import survey
from orchestrator.errors import Unclear
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
    assert [order.what for order in found.standing["j"]] == ["cancel"]
