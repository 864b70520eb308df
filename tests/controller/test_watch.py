import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes.place import FakePlace, recorded
from fakes.slurm import ALPHA, FakeSlurm, queue_line

from orchestrator.controller import watch
from orchestrator.controller.survey import Survey, survey
from orchestrator.controller.watch import is_settled, tend, tend_all
from orchestrator.errors import BusyError, Refused, Unclear
from orchestrator.jobs.evidence import Sight, Sighting
from orchestrator.jobs.facts import End, JobFacts, Member
from orchestrator.jobs.layout import Root
from orchestrator.jobs.orders import Order, write_order
from orchestrator.jobs.state import JobStatus, State
from orchestrator.jobs.store import REVISION_SCHEMA, create_root, mark_imported, write_revision
from orchestrator.jobs.submissions import Submission, read_outcomes


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return create_root(tmp_path / "runs")


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> FakePlace:
    return FakePlace(monkeypatch)


def launched(root: Root, sweep: str, *jobs: str, **changes: Any) -> None:
    """The sweep's next revision; its jobs are called as their ids."""
    placement: dict[str, Any] = {"device": "cpu"}
    content = {
        "schema": REVISION_SCHEMA,
        "name": sweep,
        "executor": "fake",
        "max_parallel": None,
        "data_root": "/data",
        "cluster": None,
        "snapshot": "c0de",
        "jobs": [
            {"id": job, "name": job, "placement": placement, "resources": {"partition": "cpu"}}
            for job in jobs
        ],
    }
    recorded(root, *jobs)
    write_revision(root, sweep, {**content, **changes})


def states(found: Survey) -> dict[str, State]:
    return {job: status.state for job, status in found.statuses.items()}


def see(place: FakePlace, sight: Sight, **how: Any) -> None:
    """Every member that was submitted is seen so."""
    place.seen = {
        (one.token, n): Sighting(sight, **how)
        for one in place.submissions
        for n in range(len(one.jobs))
    }


def test_a_round_submits_what_is_due_and_stores_what_was_seen(root: Root, place: FakePlace) -> None:
    launched(root, "s", "a", "b")
    tend(root, "s")
    (one,) = place.submissions
    assert (one.jobs, one.snapshot) == (["a", "b"], "c0de")
    see(place, Sight.RUNNING)
    assert set(states(tend(root, "s")).values()) == {State.RUNNING}
    see(place, Sight.ENDED, end=End(5.0, started=True, by_place=True, detail="a node failed"))
    tend(root, "s")

    assert len(read_outcomes(root.submission(one.token))) == 2
    assert [again.jobs for again in place.submissions] == [["a", "b"]] * 2


def test_a_watch_leaves_a_sweep_alone_that_was_imported_under_it(
    root: Root, place: FakePlace
) -> None:
    launched(root, "s", "a")
    mark_imported(root, "s", 1, "another root")
    look = tend_all(root, ["s"])

    assert place.submissions == []
    assert look.notes == ("sweep 's' was imported meanwhile: left alone",)


@pytest.mark.parametrize("error", [Unclear, BusyError])
def test_a_place_or_a_root_that_is_away_costs_only_that_round_and_only_that_sweep(
    root: Root, place: FakePlace, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    launched(root, "one", "a")
    launched(root, "two", "b")

    def away(root: Root, sweep: str) -> Survey:
        if sweep == "one":
            raise error("it is away")
        return tend(root, sweep)

    with monkeypatch.context() as broken:
        broken.setattr(watch, "tend", away)
        look = tend_all(root, ["one", "two"])

    assert [one.jobs for one in place.submissions] == [["b"]]
    assert (look.notes, look.settled) == (("it is away",), False)
    assert [job.id for job in look.jobs] == ["a", "b"]
    assert look.found.statuses.keys() == {"a", "b"}
    tend_all(root, ["one", "two"])
    assert [one.jobs for one in place.submissions] == [["b"], ["a"]]


def test_a_place_that_says_no_ends_the_watch(
    root: Root, place: FakePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> str:
        raise Refused("no such account")

    monkeypatch.setattr(place, "submit", refuse)
    launched(root, "s", "a")

    with pytest.raises(Refused, match="no such account"):
        tend_all(root, ["s"])
    assert states(survey(root, ["a"])) == {"a": State.PLANNED}


def test_what_places_could_not_be_asked_is_told_and_the_round_is_not_the_last(
    root: Root, place: FakePlace
) -> None:
    launched(root, "s", "a")
    tend(root, "s")
    place.troubles = ("half of it is down",)

    look = tend_all(root, ["s"])

    assert (look.notes, look.settled) == (("half of it is down",), False)


def test_a_sweep_that_is_launched_again_during_a_round_is_shown_whole(
    root: Root, place: FakePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched(root, "s", "a")

    def overtaken(root: Root, sweep: str) -> Survey:
        found = tend(root, sweep)
        launched(root, "s", "a", "b")
        return found

    monkeypatch.setattr(watch, "tend", overtaken)

    look = tend_all(root, ["s"])

    assert [job.id for job in look.jobs] == ["a", "b"]
    assert look.found.statuses.keys() == {"a", "b"}
    assert not look.settled


def test_a_root_without_sweeps_is_settled(root: Root) -> None:
    look = tend_all(root, [])

    assert (look.jobs, look.settled, look.notes) == ((), True, ())


def test_a_failure_is_submitted_again_once_its_back_off_is_over_and_is_waited_for(
    root: Root, place: FakePlace
) -> None:
    launched(root, "s", "a")
    tend(root, "s")
    see(place, Sight.ENDED, end=End(time.time() - 25, started=True, signal=9))
    waiting = tend_all(root, ["s"])
    assert len(place.submissions) == 1
    assert (waiting.settled, states(waiting.found)) == (False, {"a": State.FAILED})
    assert waiting.found.statuses["a"].due_at == pytest.approx(time.time() + 5, abs=3)
    (outcomes,) = root.submission(place.submissions[0].token).path.glob("outcomes-*")
    outcomes.unlink()
    see(place, Sight.ENDED, end=End(time.time() - 35, started=True, signal=9))
    tend_all(root, ["s"])

    assert len(place.submissions) == 2


OPEN = Member("t", 0, "fake", 5.0, handle="h", refused=False, end=None)


@pytest.mark.parametrize(
    ("members", "seen", "troubles", "settled"),
    [
        ((OPEN,), {}, (), True),
        ((OPEN,), {}, ("SLURM did not answer",), False),
        ((OPEN,), {("t", 0): Sighting(Sight.ABSENT)}, (), False),
        ((Member("t", 0, "fake", 5.0, handle=None, refused=False, end=None),), {}, (), False),
        ((replace(OPEN, end=End(5.0, started=True)),), {}, (), False),
    ],
    ids=["can never speak", "may speak later", "missed for the first time", "open intent", "late"],
)
def test_an_unknown_job_is_waited_for_while_its_place_may_still_speak(
    members: tuple[Member, ...],
    seen: dict[Any, Sighting],
    troubles: tuple[str, ...],
    *,
    settled: bool,
) -> None:
    status = JobStatus("j", State.UNKNOWN)
    found = Survey({"j": JobFacts("j", (), members)}, {"j": status}, {}, seen, (), troubles)

    assert is_settled(found) is settled


def test_what_was_cancelled_and_still_runs_or_waits_is_asked_to_stop_again(
    root: Root, place: FakePlace
) -> None:
    launched(root, "s", "a", "b", "c")
    tend(root, "s")
    token = place.submissions[0].token
    see(place, Sight.RUNNING)
    place.seen[token, 1] = Sighting(Sight.WAITING)
    write_order(root, Order(what="cancel", jobs=["a", "b"]))
    tend(root, "s")
    tend(root, "s")
    assert place.cancelled == [(token, 0), (token, 1)] * 2
    see(place, Sight.ENDED, end=End(5.0, started=True, exit_code=75))
    found = tend(root, "s")

    assert place.cancelled == [(token, 0), (token, 1)] * 2
    assert [states(found)[job] for job in "ab"] == [State.CANCELLED] * 2
    assert [job for one in place.submissions[1:] for job in one.jobs] == []


def test_what_a_cluster_does_not_take_at_once_is_submitted_as_room_comes(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slurm = FakeSlurm(tmp_path / "site", monkeypatch)
    launched(root, "s", *"abcde", executor="slurm", cluster={**ALPHA, "max_submit": 2})
    handed: list[Submission] = []

    def after_a_round(in_the_queue: int) -> list[str]:
        waiting = [
            queue_line(one, n, "PENDING", f"{number}")
            for number, one in enumerate(handed)
            for n in range(len(one.jobs))
        ]
        slurm.answer("squeue", *waiting)
        slurm.answer("squeue.me", *["9_0"] * in_the_queue)
        slurm.answer("sbatch", f"Submitted batch job {len(handed)}")
        look = tend_all(root, ["s"])
        assert (look.settled, look.notes) == (False, ())
        handed[:] = look.found.submissions
        return ["".join(one.jobs) for one in handed]

    rounds = [after_a_round(in_the_queue) for in_the_queue in (0, 2, 1, 0, 0)]

    assert rounds == [["ab"], ["ab"], ["ab", "c"], ["ab", "c", "de"], ["ab", "c", "de"]]
    assert set(states(survey(root, list("abcde"))).values()) == {State.QUEUED}
