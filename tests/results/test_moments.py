from typing import Any

import pytest

from orchestrator.errors import SpecError
from orchestrator.jobs.facts import Ending
from orchestrator.results.course import Mark
from orchestrator.results.groups import grouped
from orchestrator.results.moments import Kind, Moment, equal_spending, moment_of, placed
from orchestrator.results.result import Result

DONE, DIVERGED = Ending.FINISHED, Ending.DIVERGED
TOP1 = "val/top1"


def trained(
    id_: str, *values: float, ending: Ending | None = DONE, cost: float = 1.0, **axes: Any
) -> Result:
    """A job that measures after each epoch, each of which costs ``cost`` MACs and hours."""
    course = [
        Mark(
            step=10 * epoch,
            epoch=epoch,
            hours=cost * epoch,
            macs=cost * epoch,
            metrics={TOP1: value, "val/loss": 100 - value, "epoch": epoch},
        )
        for epoch, value in enumerate(values, 1)
    ]
    last = dict(course[-1].metrics) if course else {}
    return Result(id_, axes, ending, last, course=tuple(course))


def told(moment: str, *results: Result, metric: str = TOP1) -> list[float | None]:
    found = placed(results, moment_of(moment), metric)
    return [grouped([one], metric, [])[0].mean for one in found]


def test_the_end_is_what_was_measured_last() -> None:
    results = [trained("a", 1.0, 3.0, 2.0)]

    assert placed(results, moment_of("last"), TOP1) == results


def test_the_best_is_of_the_first_epoch_that_has_it_and_all_else_is_of_that_epoch() -> None:
    (found,) = placed([trained("a", 1.0, 3.0, 3.0, 2.0)], moment_of("best"), TOP1)

    assert found.metrics == {TOP1: 3.0, "val/loss": 97.0, "epoch": 2}
    assert told("best", trained("a", 1.0, 3.0, 2.0), metric="val/loss") == [97.0]
    with pytest.raises(SpecError, match="'norms/max' are better is not known"):
        placed([trained("a", 1.0)], moment_of("best"), "norms/max")


def test_a_job_that_is_not_over_has_no_best_nor_last_but_an_epoch_it_has_passed() -> None:
    running = trained("a", 1.0, 3.0, ending=None)

    assert told("best", running) == [None]
    assert told("last", running) == [None]
    assert told("epoch=2", running) == [3.0]
    assert told("epoch=3", running) == [None]


def test_a_diverged_job_is_counted_as_such_at_every_moment() -> None:
    for moment in ("best", "epoch=1", "macs=1"):
        diverged = trained("a", 1.0, 3.0, ending=DIVERGED)
        (row,) = grouped(placed([diverged], moment_of(moment), TOP1), TOP1, [])
        assert (row.diverged, row.n, row.missing) == (1, 0, 0)


def test_an_epoch_at_which_nothing_was_measured_is_missing() -> None:
    marks = [
        Mark(step=10, epoch=1, hours=1.0, macs=1.0, metrics={"train/loss": 3.0}),
        Mark(step=20, epoch=2, hours=2.0, macs=2.0, metrics={TOP1: 5.0}),
        Mark(step=25, epoch=2, hours=2.5, macs=2.5, metrics={TOP1: 9.0}),
    ]
    result = Result("a", {}, DONE, {TOP1: 9.0}, course=tuple(marks))

    assert told("epoch=1", result) == [None]
    assert told("epoch=2", result) == [5.0]


@pytest.mark.parametrize("kind", ["macs", "hours"])
def test_equal_spending_takes_the_last_value_within_it_and_extrapolates_nothing(kind: str) -> None:
    cheap, dear = trained("a", 1.0, 2.0, 3.0), trained("b", 1.0, 2.0, 3.0, cost=2.0)

    assert told(f"{kind}=2", cheap, dear) == [2.0, 1.0]
    assert told(f"{kind}=3.9", cheap, dear) == [None, 1.0]
    assert told(f"{kind}=4", cheap, dear) == [None, 2.0]
    assert told(f"{kind}=0.5", cheap, dear) == [None, None]


def test_without_a_number_it_is_the_smallest_total_of_a_job_that_is_done() -> None:
    groups = {
        "cheap": [trained("a", 1.0, 2.0, 3.0)],
        "dear": [trained("b", 1.0, 2.0, 3.0, cost=2.0), trained("c", 1.0, ending=None)],
    }

    assert equal_spending(groups, Kind.MACS) == (Moment(Kind.MACS, 3.0), "cheap")
    with pytest.raises(SpecError, match="no job is done of which the hours of training are known"):
        equal_spending({"x": groups["dear"][1:]}, Kind.HOURS)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("last", Moment()),
        ("best", Moment(Kind.BEST)),
        ("epoch=40", Moment(Kind.EPOCH, 40)),
        ("macs", Moment(Kind.MACS)),
        ("macs=1.5e18", Moment(Kind.MACS, 1.5e18)),
        ("hours=0.5", Moment(Kind.HOURS, 0.5)),
    ],
)
def test_a_moment_is_written_as_it_is_read(text: str, moment: Moment) -> None:
    assert moment_of(text) == moment
    assert moment_of(str(moment)) == moment


@pytest.mark.parametrize(
    "text",
    ["first", "", "epoch", "epoch=", "epoch=x", "epoch=1.5", "last=3", "hours=0", "macs=inf"],
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match=f"--at: '{text}'"):
        moment_of(text)
