from collections.abc import Mapping
from typing import Any

from orchestrator.controller.breaker import Limits
from orchestrator.controller.events import Scene, news
from orchestrator.controller.survey import Survey
from orchestrator.jobs.events import Event
from orchestrator.jobs.facts import Attempt, JobFacts, Start
from orchestrator.jobs.orders import NO_ORDERS, Order, Standing
from orchestrator.jobs.settled import Memory
from orchestrator.jobs.state import JobStatus, State

START = Start("t", 0, 0, 0.0, "", "here", "c0de", {})


def started(times: int) -> tuple[Attempt, ...]:
    return tuple(Attempt(n + 1, START, -1, None, 0, (), 0.0, None) for n in range(times))


def scene(
    jobs: str, starts: Mapping[int, int] | None = None, standing: Standing = NO_ORDERS, **more: Any
) -> Scene:
    """A letter for each job: done, failed by exception, failed by import, planned, running."""
    known = {
        "d": (State.DONE, ""),
        "f": (State.FAILED, "exception"),
        "i": (State.FAILED, "import"),
        "p": (State.PLANNED, ""),
        "r": (State.RUNNING, ""),
    }
    statuses = {
        str(n): JobStatus(str(n), known[letter][0], kind=known[letter][1], due=letter == "p")
        for n, letter in enumerate(jobs)
    }
    counts = starts or {}
    facts = {job: JobFacts(job, started(counts.get(int(job), 1))) for job in statuses}
    tokens = more.pop("tokens", {})
    memory = Memory({}, tokens, {}, (), {})
    usual: dict[str, Any] = {
        "sweep": "s",
        "study": "s",
        "revision": 1,
        "limits": Limits(more.pop("failures", 3), more.pop("budget", None)),
        "found": Survey(facts, statuses, standing, {}, (), memory=memory),
        "gpu_hours": 0.0,
        "settled": False,
    }
    return Scene(**{**usual, **more})


def told(known: list[Event], now: Scene) -> list[str]:
    """What of the scene is news; it is known from then on."""
    fresh = news(now, known)
    known += fresh
    return [event.message for event in fresh]


def test_a_sweep_ends_once_and_again_when_it_was_started_or_submitted_since() -> None:
    known: list[Event] = []

    assert told(known, scene("ddr")) == []
    assert told(known, scene("ddf", settled=True)) == ["Sweep s has ended: 2 DONE, 1 FAILED."]
    assert told(known, scene("ddf", settled=True)) == []
    assert told(known, scene("ddf", settled=True, revision=2)) == []
    assert len(told(known, scene("ddf", {2: 2}, settled=True))) == 1
    assert len(told(known, scene("ddf", {2: 2}, settled=True, tokens={"2": ("t", "u")}))) == 1
    assert [event.failed for event in known] == [1, 1, 1]
    assert len({event.about for event in known}) == 3


def test_jobs_that_fail_alike_are_told_when_they_trip_the_breaker() -> None:
    known: list[Event] = []

    assert told(known, scene("ffddprr")) == []
    (message,) = told(known, scene("fffddpr"))
    assert message.startswith("3 jobs of s failed alike (exception, ")
    assert message.endswith(": no further ones are started.")
    assert told(known, scene("ffffddp")) == []  # what still ran fails as well
    assert (known[0].stopped, known[0].starts) == (True, {"0": 1, "1": 1, "2": 1})


def test_a_burst_is_told_where_the_breaker_lets_jobs_go_on_and_again_once_it_does_not() -> None:
    known: list[Event] = []

    (burst,) = told(known, scene("fffdddp"))
    assert not burst.endswith("no further ones are started.")
    assert told(known, scene("fffdddp")) == []
    (tripped,) = told(known, scene("ffffddd"))
    assert tripped.endswith("no further ones are started.")
    assert told(known, scene("ffffddd")) == []


def test_starts_that_were_told_are_no_news_but_those_after_a_relaunch_are() -> None:
    known: list[Event] = []
    again = {0: 2, 1: 2, 2: 2}

    assert len(told(known, scene("fffp"))) == 1
    assert told(known, scene("rffp", {0: 2})) == []
    assert len(told(known, scene("fffp", again))) == 1


def test_failures_of_different_kinds_are_no_burst_and_each_kind_has_its_own() -> None:
    assert news(scene("ffii"), []) == []
    assert [event.kind for event in news(scene("fffiii"), [])] == ["exception", "import"]


def test_five_failures_are_a_burst_where_any_number_is_let_pass() -> None:
    assert news(scene("ffff", failures=None), []) == []
    (event,) = news(scene("fffff", failures=None), [])
    assert not event.stopped


def test_failures_of_jobs_that_are_kept_back_are_no_news() -> None:
    order = Order(what="cancel", jobs=["0"])

    assert news(scene("fff", standing=Standing(cancels={"0": (order,)})), []) == []


def test_a_budget_is_reached_once_for_each_size_of_it() -> None:
    known: list[Event] = []

    assert told(known, scene("rp", budget=10.0, gpu_hours=9.9)) == []
    (message,) = told(known, scene("rp", budget=10.0, gpu_hours=10.25))
    assert message.startswith("The jobs of s have spent 10.25 GPU-hours of 10: ")
    assert told(known, scene("rp", budget=10.0, gpu_hours=12.0)) == []
    assert told(known, scene("rp", budget=20.0, gpu_hours=12.0)) == []
    assert len(told(known, scene("rp", budget=20.0, gpu_hours=21.0))) == 1
    assert news(scene("rp", budget=0.0, gpu_hours=0.0), []) == []  # on CPUs alone
