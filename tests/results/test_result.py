import pytest

from orchestrator.errors import SpecError
from orchestrator.jobs.facts import Ending
from orchestrator.results.result import Result, check_question, that_measure

DONE, DIVERGED = Ending.FINISHED, Ending.DIVERGED


def test_a_metric_is_missing_only_of_jobs_whose_task_it_is_to_measure_it() -> None:
    train, on_a, on_r, looks = (
        Result(name, {}, DONE, {}, config)
        for name, config in (
            ("trained", {"task": "train", "data": {"name": "d"}}),
            ("a", {"task": "evaluate", "data": {"name": "a"}}),
            ("r", {"task": "evaluate", "data": {"name": "r"}}),
            ("looks", {"task": "analyze", "data": {"name": "a"}}),
        )
    )
    again = Result("again", {}, DONE, {"val/top1": 90.0}, on_a.config)
    unreadable = Result("unreadable", {}, None, {})
    every = [train, on_a, on_r, looks, again, unreadable]

    assert that_measure(every, "val/top1") == [train, again, unreadable]
    assert that_measure(every, "eval/a/top1") == [on_a, again, unreadable]
    assert that_measure(every, "eval/r/gap") == [on_r, unreadable]
    assert that_measure(every, "norms/max") == [train, looks, unreadable]
    assert that_measure(every, "artifacts/positive") == [looks, unreadable]


def test_an_unknown_metric_or_axis_is_refused_with_what_there_is() -> None:
    results = [Result("a", {"k": 4, "seed": 0}, DONE, {"top1": 1.0})]

    with pytest.raises(SpecError, match=r"No job measured 'top5'. Measured: top1"):
        check_question(results, ["top5"], [])
    with pytest.raises(SpecError, match=r"'depth' is neither an axis.*k, seed.*nor"):
        check_question(results, ["top1"], ["depth"])
    check_question(results, ["top1"], ["k", "seed", "model.registers"])
    check_question([Result("a", {}, DONE, {})], ["anything"], [])


def test_a_metric_is_refused_where_it_is_nobodys_task_or_one_finished_without_it() -> None:
    begun, trains = {"train/loss": 2.0}, {"task": "train"}
    diverged = Result("a", {}, DIVERGED, begun, trains)
    evaluates = Result("b", {}, None, {}, {"task": "evaluate", "data": {"name": "d"}})

    check_question([diverged, Result("c", {}, None, begun, trains), evaluates], ["val/top1"], [])
    with pytest.raises(SpecError, match=r"No job measured 'val/top1'. Measured: train/loss"):
        check_question([diverged, Result("c", {}, DONE, begun, trains)], ["val/top1"], [])
    with pytest.raises(SpecError, match=r"No job measured 'val/top1'. Nothing was measured yet."):
        check_question([evaluates], ["val/top1"], [])
