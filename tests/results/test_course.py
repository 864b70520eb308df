import pytest

from orchestrator.jobs.journal import Journal, Point, fold
from orchestrator.results.course import course, elapsed


def journal(attempt: int, from_step: int | None, *steps: int, at: float) -> Journal:
    """Ten seconds a step, from ``at`` on."""
    first = from_step or 0
    points = [Point(at + 10.0 * (s - first), s, s // 10, {"loss": -s}) for s in steps]
    return Journal(attempt, from_step, 100, tuple(points))


def test_time_is_that_of_every_attempt_from_its_start_without_lost_work_and_pauses() -> None:
    journals = [journal(1, None, 10, 20, 30, at=1000.0), journal(2, 25, 30, 40, at=9000.0)]
    began = {1: 980.0, 2: 8995.0}  # 20 s and 5 s of start-up

    found = elapsed(journals, began)

    assert [point.step for point, _ in found] == [10, 20, 30, 40]
    assert [point for point, _ in found] == list(fold(journals).points)
    at_25 = 20.0 + 250.0
    assert [s for _, s in found] == pytest.approx([120, 220, at_25 + 5 + 50, at_25 + 5 + 150])


def test_a_job_that_began_anew_has_spent_nothing_before() -> None:
    journals = [journal(1, None, 10, 20, at=0.0), journal(2, None, 10, at=5000.0)]

    assert [s for _, s in elapsed(journals, {1: 0.0, 2: 5000.0})] == [100.0]


def test_a_resume_at_the_last_point_goes_on_from_its_time() -> None:
    journals = [journal(1, None, 10, at=0.0), journal(2, 10, 20, at=500.0)]

    assert [s for _, s in elapsed(journals, {1: 0.0, 2: 500.0})] == [100.0, 200.0]


def test_a_course_keeps_what_was_asked_for_and_where_it_ends() -> None:
    points = (
        Point(10.0, 1, 0, {"loss": 3.0, "lr": 0.1}),
        Point(20.0, 2, 0, {"lr": 0.2}),
        Point(3600.0, 3, 1, {"time": 1.0}),
    )
    found = course([Journal(1, None, 3, points)], {1: 0.0}, 5.0, ["loss"])

    assert [(one.step, one.macs, dict(one.metrics)) for one in found] == [
        (1, 5.0, {"loss": 3.0}),
        (3, 15.0, {}),
    ]
    assert (found[-1].hours, found[-1].epoch) == (1.0, 1)
    assert course([], {}, None, ["loss"]) == ()
