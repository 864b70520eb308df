"""Results of a root whose files were written by hand, no process."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.by_hand import done, launched, trained

from orchestrator.config import EvaluateConfig, JobConfig, RunConfig
from orchestrator.controller.results import answer
from orchestrator.controller.subjects import unmeasured
from orchestrator.controller.where import meant
from orchestrator.jobs.facts import Ending
from orchestrator.jobs.identity import job_id
from orchestrator.jobs.layout import Root
from orchestrator.jobs.records import write_job
from orchestrator.jobs.store import create_root
from orchestrator.results.answer import Question


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return create_root(tmp_path / "runs")


def rows(root: Root, sweep: str, **question: Any) -> list[tuple[int, int, float | None]]:
    found = answer(root, [sweep], None, Question(**question))
    return [(group.n, group.missing, group.mean) for group in found.groups]


def evaluated(parent: RunConfig, **changes: Any) -> EvaluateConfig:
    plain = {"task": "evaluate", "of": job_id(parent), "data": {"name": "digits_hard"}, **changes}
    return EvaluateConfig.model_validate(plain)


def top1(*values: float) -> Sequence[Mapping[str, float]]:
    return [{"val/top1": value} for value in values]


@pytest.mark.parametrize(
    ("at", "row"),
    [
        ("last", (1, 1, 70.0)),
        ("best", (1, 1, 90.0)),
        ("epoch=1", (2, 0, 30.0)),
        ("epoch=2", (1, 1, 90.0)),
        ("macs", (1, 1, 70.0)),
        ("macs=1", (0, 2, None)),
    ],
)
def test_a_job_that_lost_the_end_of_its_journal_counts_at_epochs_of_which_it_is_there_alone(
    root: Root, at: str, row: tuple[int, int, float | None]
) -> None:
    whole, short = trained(0), trained(1)
    done(root, whole, *top1(20.0, 90.0, 70.0))
    done(root, short, *top1(40.0))
    launched(root, "s", (whole, {"seed": 0}), (short, {"seed": 1}))

    assert rows(root, "s", at=at) == [row]
    found = answer(root, ["s"], None, Question(at=at))
    assert any("it ends at step 10 of 30" in fault for fault in found.faults)


def test_a_job_that_diverged_is_called_so_however_little_of_its_journal_is_left(root: Root) -> None:
    whole, short = trained(0), trained(1)
    done(root, whole, *top1(20.0, 90.0, 70.0))
    done(root, short, end=Ending.DIVERGED)
    launched(root, "s", (whole, {"seed": 0}), (short, {"seed": 1}))

    (group,) = answer(root, ["s"], None, Question()).groups
    assert (group.n, group.missing, group.diverged) == (1, 0, 1)


def test_evaluations_are_grouped_and_compared_by_the_settings_of_their_parents(root: Root) -> None:
    metric = "eval/digits_hard/gap"
    plain, wider = ([trained(seed, **model) for seed in (0, 1)] for model in ({}, {"registers": 4}))
    jobs: list[tuple[JobConfig, Mapping[str, Any]]] = []
    for arm, parents in enumerate((plain, wider)):
        for seed, parent in enumerate(parents):
            write_job(root, job_id(parent), parent)
            child = evaluated(parent)
            done(root, child, {}, {}, {metric: 10.0 * arm + seed})
            jobs.append((child, {}))
    launched(root, "s", *jobs)

    by = ["model.registers", "data.name"]
    found = answer(root, ["s"], None, Question(metric=metric, by=by, baseline="registers == 0"))

    assert [(dict(group.axes), group.values) for group in found.groups] == [
        ({"model.registers": 0, "data.name": "digits_hard"}, (0.0, 1.0)),
        ({"model.registers": 4, "data.name": "digits_hard"}, (10.0, 11.0)),
    ]
    assert found.baseline == 0
    (together,) = answer(root, ["s"], None, Question(metric=metric, by=["data.name"])).groups
    assert together.mixes == ("model.registers",)
    (chosen,) = answer(
        root, ["s"], None, Question(metric=metric, by=["data.name"], choose="model.registers")
    ).groups
    assert (chosen.axes["model.registers"], chosen.values) == (0, (1.0,))


def test_children_are_known_by_their_parents_settings_before_these_have_started(root: Root) -> None:
    parents = [trained(0), trained(1, registers=4)]
    launched(root, "s", *((parent, {}) for parent in parents))
    children = [evaluated(parent) for parent in (*parents, trained(2))]  # nobody has the last one
    launched(root, "looks", *((child, {}) for child in children))

    def names(where: str) -> list[str]:
        return [job.name for job in meant(root, "looks", where)]

    assert names("registers == 4 and seed == 1") == ["1"]
    assert names("checkpoint == 'last'") == ["0", "1", "2"]
    assert names("not (seed == 0)") == ["1"], "of a parent that nobody knows nothing holds"
    told = unmeasured(root, meant(root, "looks", None))
    assert [one.at("model.registers") for one in told] == [0, 4, None]
    asked = Question(metric="eval/digits_hard/top1", by=["model.registers"])
    assert [dict(group.axes) for group in answer(root, ["looks"], None, asked).groups] == [
        {"model.registers": 0},
        {"model.registers": 4},
        {"model.registers": None},
    ]


def test_what_looks_at_a_model_whose_training_diverged_counts_as_diverged(root: Root) -> None:
    metric, parents = "eval/digits_hard/top1", [trained(seed) for seed in (0, 1)]
    for parent, end in zip(parents, (Ending.FINISHED, Ending.DIVERGED), strict=True):
        done(root, parent, end=end)
        done(root, evaluated(parent), {}, {}, {metric: 50.0})
    launched(root, "s", *((evaluated(parent), {}) for parent in parents))

    (group,) = answer(root, ["s"], None, Question(metric=metric)).groups
    assert (group.n, group.missing, group.diverged, group.values) == (1, 0, 1, (50.0,))


def test_evaluations_on_trainings_own_set_are_missed_and_are_no_further_seeds(root: Root) -> None:
    parents = [trained(seed) for seed in (0, 1)]
    own = [evaluated(parent, data={"name": "digits"}) for parent in parents]
    for seed, parent in enumerate(parents):
        done(root, parent, {}, {}, {"val/top1": 80.0 + seed})
    done(root, own[0], {}, {}, {"val/top1": 80.0})
    launched(root, "s", *((job, {}) for job in (*parents, *own)))

    groups = answer(root, ["s"], None, Question()).groups
    assert [(dict(group.axes), group.n, group.missing) for group in groups] == [
        ({"task": "train", "checkpoint": None}, 2, 0),
        ({"task": "evaluate", "checkpoint": "last"}, 1, 1),
    ]


def test_hours_of_an_evaluation_are_no_hours_of_training(root: Root) -> None:
    parent = trained(0)
    child = evaluated(parent, data={"name": "digits"})
    for job in (parent, child):
        done(root, job, *top1(20.0, 90.0, 70.0))
    launched(root, "s", (parent, {}), (child, {}))

    found = answer(root, ["s"], None, Question(at="hours"))
    assert [(group.n, group.mean) for group in found.groups] == [(1, 70.0), (0, None)]
    assert "task=train" in found.spent_least
