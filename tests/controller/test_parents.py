import os
import time
from pathlib import Path
from typing import Any

import pytest
from fakes.place import FakePlace, attempt, recorded

from orchestrator.config import EvaluateConfig, Placement, Resources
from orchestrator.controller.parents import check_parents, look
from orchestrator.controller.select import select, select_one
from orchestrator.controller.watch import is_settled, tend, tend_all
from orchestrator.controller.why import explain
from orchestrator.errors import SpecError
from orchestrator.jobs.evidence import Sight, Sighting
from orchestrator.jobs.facts import End, Ending
from orchestrator.jobs.files import to_json
from orchestrator.jobs.layout import Root
from orchestrator.jobs.orders import Order, write_order
from orchestrator.jobs.parents import Parent
from orchestrator.jobs.records import form_of
from orchestrator.jobs.state import JobStatus, State
from orchestrator.jobs.store import REVISION_SCHEMA, create_root, write_revision
from orchestrator.sweep.expand import Point, Sweep


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> FakePlace:
    return FakePlace(monkeypatch)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """In which sweep e evaluates job p of sweep s."""
    root = create_root(tmp_path / "runs")
    launched(root, "e", evaluation())
    return root


def evaluation(**more: Any) -> dict[str, Any]:
    reduced = {"task": "evaluate", "of": "p", "data.name": "d", **more}
    form = {"identity_version": 1, "reduced": reduced}
    return {"id": "c", "name": "p,d", "form": form, "parent": "s/p"}


def launched(root: Root, sweep: str, *jobs: dict[str, Any]) -> None:
    shape: dict[str, Any] = {"placement": {"device": "cpu"}, "resources": {"partition": "cpu"}}
    content = {
        "schema": REVISION_SCHEMA,
        "name": sweep,
        "executor": "fake",
        "max_parallel": None,
        "data_root": "/data",
        "cluster": None,
        "snapshot": "c0de",
        "shapes": [shape],
        "jobs": [{**job, "shape": 0, "axes": {}} for job in jobs],
    }
    write_revision(root, sweep, content)


def trains(root: Root) -> None:
    recorded(root, "p")
    launched(root, "s", {"id": "p", "name": "p"})


def ends(root: Root, place: FakePlace, ending: Ending, *epochs: int, number: int = 1) -> None:
    """Attempt ``number`` on job p, with the weights of these epochs, of ten steps each."""
    trains(root)
    tend(root, "s")
    folder = attempt(root, "p", place.submissions[-1], number, ending)
    folder.exit.write_bytes(to_json({"end": ending.value, "time": 1.0, "step": 20}))
    header = {"schema": 1, "job": "p", "attempt": number, "from_step": None, "steps": 20}
    point = {"t": 1.0, "step": 20, "epoch": 2, "m": {}}
    folder.journal.write_bytes(b"".join(to_json(line).strip() + b"\n" for line in (header, point)))
    for epoch in epochs:
        weights = root.job("p").weights / f"{number:03d}-{10 * epoch:09d}"
        weights.mkdir(parents=True)
        (weights / "meta.json").write_bytes(to_json({"schema": 1, "epoch": epoch}))
    place.submissions.clear()


def child(root: Root) -> JobStatus:
    return look(root, select(root, "e")).statuses["c"]


def test_a_job_is_submitted_when_its_parent_is_done(root: Root, place: FakePlace) -> None:
    ends(root, place, Ending.FINISHED, 1, 2)

    tend(root, "e")

    (one,) = place.submissions
    assert (one.jobs, one.forms) == (["c"], [evaluation()["form"]])


def test_a_job_waits_for_a_parent_that_is_at_it(root: Root, place: FakePlace) -> None:
    trains(root)
    tend(root, "s")
    place.seen = {(place.submissions[0].token, 0): Sighting(Sight.RUNNING)}
    before = len(place.submissions)

    found = tend(root, "e")

    assert len(place.submissions) == before
    assert not is_settled(found)
    assert child(root) == JobStatus(
        "c", State.PLANNED, reason="waits for parent s/p (RUNNING)", waits=True
    )
    assert explain(root, select_one(root, "e")).lines == [
        "p,d (c) is PLANNED: waits for parent s/p (RUNNING).",
        "A watch submits it once that is done; see: orchestrate why p",
    ]


def test_the_weights_of_a_diverged_parent_are_evaluated(root: Root, place: FakePlace) -> None:
    ends(root, place, Ending.DIVERGED, 2)

    assert child(root).due


def test_nobody_waits_for_a_parent_that_nobody_brings_to_an_end(
    root: Root, place: FakePlace
) -> None:
    """Its sweep was not launched; it is launched, and to come; it was cancelled."""
    told = [child(root)]
    trains(root)
    told.append(child(root))
    write_order(root, Order(what="cancel", jobs=["p"]))
    told.append(child(root))

    assert [(one.reason, one.in_vain) for one in told] == [
        ("waits for parent s/p (PLANNED), whose sweep was not launched here", True),
        ("waits for parent s/p (PLANNED)", False),
        ("waits for parent s/p (CANCELLED)", True),
    ]
    assert not any(one.due or one.given_up for one in told)
    assert is_settled(tend(root, "e"))
    assert place.submissions == []


def test_a_job_that_began_before_its_parent_was_done_is_tried_again_once_that_is(
    root: Root, place: FakePlace
) -> None:
    """It waited at its place while its parent was ordered to begin afresh."""
    ends(root, place, Ending.FINISHED, 2)
    tend(root, "e")
    write_order(root, Order(what="afresh", jobs=["p"], last={"p": 1}))
    recorded(root, "c")
    begun = attempt(root, "c", place.submissions.pop(), ending=Ending.ERROR)
    told = {"rank": 0, "time": 1.0, "exception": "ParentError", "message": "Parent p is not done"}
    begun.error(0).write_bytes(to_json(told))
    os.utime(begun.started, (1.0, 1.0))
    waiting = child(root)
    tend(root, "e")
    assert place.submissions == []
    ends(root, place, Ending.FINISHED, 2, number=2)
    again = child(root)
    tend(root, "e")

    assert [one.jobs for one in place.submissions] == [["c"]]
    assert (waiting.state, waiting.kind, waiting.waits) == (State.FAILED, "parent", True)
    assert waiting.reason.endswith("waits for parent s/p (PLANNED)")
    assert {waiting.due, waiting.given_up, waiting.in_vain} == {False}
    assert (again.state, again.tries, again.waits, again.due) == (State.FAILED, 1, False, True)


def test_a_watch_says_how_to_tend_parents_that_need_it_and_are_of_other_sweeps(
    root: Root, place: FakePlace
) -> None:
    """They are to be submitted; they failed and are tried again; they run; both are watched."""
    words = (
        "jobs wait for parents of s, which this watch does not tend; to tend all of them: "
        "orchestrate watch e s"
    )
    trains(root)
    looks = [tend_all(root, ["e"])]
    tend(root, "s")
    name = (place.submissions[0].token, 0)
    place.seen = {name: Sighting(Sight.ENDED, end=End(time.time(), started=True, signal=9))}
    looks.append(tend_all(root, ["e"]))
    place.seen = {name: Sighting(Sight.RUNNING)}
    looks.append(tend_all(root, ["e"]))
    place.seen = {name: Sighting(Sight.ENDED, end=End(time.time(), started=True, signal=9))}
    looks.append(tend_all(root, ["e", "s"]))

    assert [look.found.statuses["c"].reason for look in looks] == [
        f"waits for parent s/p ({state})" for state in ("PLANNED", "FAILED", "RUNNING", "FAILED")
    ]
    assert [look.notes for look in looks] == [(words,), (words,), (), ()]
    assert not any(look.settled for look in looks)


@pytest.mark.parametrize(
    ("checkpoint", "kept"), [(5, "1, 2, last"), ("best", "1, 2, last"), (2, None), ("last", None)]
)
def test_a_job_is_not_submitted_without_the_weights_that_it_needs(
    root: Root, place: FakePlace, checkpoint: object, kept: str | None
) -> None:
    ends(root, place, Ending.FINISHED, 1, 2)
    launched(root, "e", evaluation(checkpoint=checkpoint))

    status = child(root)

    words = f"parent s/p is done and has no weights of checkpoint {checkpoint} (kept: {kept})"
    assert (status.reason, status.due) == (("", True) if kept is None else (words, False))
    assert status.in_vain is bool(kept)


def test_nothing_is_asked_of_the_parent_of_a_job_that_is_done_and_does_not_begin_afresh(
    root: Root, place: FakePlace
) -> None:
    """It needs the weights of an epoch that its parent did not keep."""
    config = EvaluateConfig.from_plain({"of": 32 * "a", "checkpoint": 1, "data": {"name": "d"}})
    parent, form = Parent("p", "s/p", 1), form_of(config)
    point = Point("c", config, form, "p,d", {}, Placement(), Resources(), parent)
    sweep = Sweep("e", "e", "", "fake", None, None, (point,), {}, (), ())
    ends(root, place, Ending.FINISHED, 2)
    tend(root, "e")
    with pytest.raises(SpecError, match=r"Point 'p,d' of sweep 'e': parent s/p .* checkpoint 1 "):
        check_parents(sweep, root.path)
    recorded(root, "c")
    attempt(root, "c", place.submissions[0], ending=Ending.FINISHED)

    check_parents(sweep, root.path)
    with pytest.raises(SpecError, match="has no weights of checkpoint 1"):
        check_parents(sweep, root.path, ["c"])
