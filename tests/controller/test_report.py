"""What a root has of a study, gathered for its page: files written by hand, no process."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes.place import attempt

from orchestrator.config import AnalyzeConfig, EvaluateConfig, JobConfig, RunConfig
from orchestrator.controller.report import report, study_of
from orchestrator.errors import SpecError
from orchestrator.jobs.facts import Ending
from orchestrator.jobs.files import publish, to_json
from orchestrator.jobs.identity import job_id
from orchestrator.jobs.journal import Header, JournalWriter
from orchestrator.jobs.layout import Root
from orchestrator.jobs.predictions import Predictions, predictions_file
from orchestrator.jobs.records import form_of, write_job
from orchestrator.jobs.store import create_root, newest_revision, write_revision
from orchestrator.jobs.submissions import (
    Submission,
    write_intent,
    write_outcomes,
    write_submitted,
)
from orchestrator.results.report.page import page, pictures_of

ENDED: Mapping[str, float] = {"time/epoch_s": 12.0, "time/probe_s": 2.0, "norms/outlier_share": 0.0}


def trained(seed: int, **model: Any) -> RunConfig:
    return RunConfig.from_plain({"data": {"name": "digits"}, "seed": seed, "model": model})


def evaluated(parent: RunConfig, **changes: Any) -> EvaluateConfig:
    plain = {"task": "evaluate", "of": job_id(parent), "data": {"name": "digits_hard"}, **changes}
    return EvaluateConfig.model_validate(plain)


def done(root: Root, config: JobConfig, metrics: Mapping[str, float], ending: Ending) -> None:
    """A job that has ended, with what it measured after its last epoch."""
    job = job_id(config)
    write_job(root, job, config)
    plain = {"executor": "local", "jobs": [job], "names": [job[:4]], "placement": {}, "owner": "me"}
    plain |= {"max_parallel": None, "snapshot": "c", "python": "p", "data_root": "/d"}
    one = Submission.from_plain(plain)
    write_submitted(write_intent(root, one, ""), "h")
    write_outcomes(root.submission(one.token), [{"index": 0, "time": 2e12, "started": True}])
    folder = attempt(root, job, one, ending=ending)
    with JournalWriter(folder.journal, Header(job, 1, None, 10)) as journal:
        journal.point(10, 3, metrics)


def launched(root: Root, name: str, jobs: Mapping[JobConfig, Mapping[str, Any]]) -> None:
    listed = [
        {"id": job_id(config), "name": str(place), "axes": axes, "form": form_of(config)}
        for place, (config, axes) in enumerate(jobs.items())
    ]
    said = {"schema": 4, "name": name, "study": "both", "question": "Why?", "overrides": []}
    source = {"path": f"/home/ada/sweeps/{name}.yaml", "text": "# Primary outcome: x\nname: a\n"}
    write_revision(root, name, {**said, "sources": [source], "jobs": listed})


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """Sweeps a, which trains, and b, which evaluates; of a one job diverged, one has not begun."""
    made = create_root(tmp_path / "runs")
    arms = {"vanilla": {}, "registers": {"registers": 4}}
    jobs = {
        trained(seed, **model): {"case": case, "seed": seed}
        for case, model in arms.items()
        for seed in (0, 1)
    }
    first, second, third, _ = jobs
    done(made, first, {"val/top1": 90.0, **ENDED}, Ending.FINISHED)
    done(made, second, {"val/top1": 92.0, **ENDED}, Ending.FINISHED)
    done(made, third, {"val/top1": 10.0}, Ending.DIVERGED)
    child = evaluated(first)
    done(made, child, {"eval/digits_hard/top1_masked": 40.0}, Ending.FINISHED)
    launched(made, "a", jobs)
    launched(made, "b", {child: {"case": "vanilla", "seed": 0}, evaluated(third): {}})
    return made


def test_a_study_has_the_arms_and_evaluations_of_all_its_sweeps(root: Root) -> None:
    study = study_of(root, "both")

    assert [(arm.name, len(arm.runs)) for arm in study.arms] == [("vanilla", 2), ("registers", 2)]
    assert study.plain is study.arms[0]
    assert study.arms[0].values("val/top1") == [90.0, 92.0]
    assert study.arms[0].seconds() == [10.0, 10.0]
    assert [run.outcome for run in study.arms[1].runs] == ["diverged", ""]
    (one,) = study.evaluations  # the other child has measured nothing
    assert (one.key, one.dataset) == (study.arms[0].key, "digits_hard")
    assert (study.started, study.starts, [one.kind for one in study.failures]) == (
        *(4, 4),
        ["diverged"],
    )
    assert study.states == {"finished": 3, "diverged": 1, "PLANNED": 2}
    assert [one.states for one in study.asked] == [
        {"finished": 2, "diverged": 1, "PLANNED": 1},
        {"finished": 1, "PLANNED": 1},
    ]


def test_a_sweep_alone_is_told_alone(root: Root) -> None:
    study = study_of(root, "a")

    assert [one.name for one in study.asked] == ["a"]
    assert study.evaluations == []
    assert study.command == ("orchestrate", "report", "a")


def test_evaluations_alone_are_told_with_the_arms_that_they_evaluate(root: Root) -> None:
    study = study_of(root, "b")

    assert [(arm.name, len(arm.runs)) for arm in study.arms] == [("vanilla", 1), ("registers", 1)]
    assert [one.key for one in study.evaluations] == [study.arms[0].key]
    assert study.states == {"finished": 1, "PLANNED": 1}
    assert (study.started, study.starts) == (1, 1)


def test_a_job_that_is_not_whole_is_a_note_has_no_numbers_and_hides_nothing_else(
    root: Root,
) -> None:
    damaged = job_id(trained(1))
    start = root.job(damaged).attempt(1)
    publish(start.exit, to_json({"end": "finished", "time": 9.0, "step": 10}))
    start.journal.write_text("")

    study = study_of(root, "both")

    assert study.arms[0].values("val/top1") == [90.0]
    (note,) = study.notes
    assert note == f"1 ({damaged[:8]}): its journal is missing or damaged: it ends at step 0 of 10"


def test_the_last_line_of_a_journal_that_lost_its_end_is_no_result(root: Root) -> None:
    start = root.job(job_id(trained(1))).attempt(1)
    publish(start.exit, to_json({"end": "finished", "time": 9.0, "step": 10}))
    start.journal.unlink()
    with JournalWriter(start.journal, Header(job_id(trained(1)), 1, None, 10)) as journal:
        journal.point(4, 1, {"val/top1": 12.0})

    assert study_of(root, "both").arms[0].values("val/top1") == [90.0]


def test_an_evaluation_of_other_weights_is_a_note_and_no_further_seed(root: Root) -> None:
    best = evaluated(trained(0), checkpoint="best")
    done(root, best, {"eval/digits_hard/top1_masked": 60.0}, Ending.FINISHED)
    launched(root, "c", {best: {"case": "vanilla", "seed": 0}})

    study = study_of(root, "both")

    assert [one.metrics["eval/digits_hard/top1_masked"] for one in study.evaluations] == [40.0]
    assert study.notes == [
        "1 evaluation of other weights than the last is left out; see: orchestrate results"
    ]


def test_evaluations_on_two_sets_are_alike_as_long_as_each_set_is_one(root: Root) -> None:
    moved = evaluated(trained(0), data={"name": "digits_moved"})
    done(root, moved, {"eval/digits_moved/top1_masked": 60.0}, Ending.FINISHED)
    launched(root, "c", {moved: {"case": "vanilla", "seed": 0}})
    for config, content in ((evaluated(trained(0)), "one"), (moved, "other")):
        start = root.job(job_id(config)).attempt(1).started
        publish(start, to_json({**json.loads(start.read_text()), "content_hash": content}))

    assert study_of(root, "both").mixed == []


def test_arms_of_different_code_are_told_to_be_so(root: Root) -> None:
    start = root.job(job_id(trained(1))).attempt(1).started
    publish(start, to_json({**json.loads(start.read_text()), "code_hash": "0ther"}))

    assert study_of(root, "both").mixed == [
        "vanilla: 2 versions of code",
        "All arms together: 2 versions of code",
    ]


def test_an_arm_of_a_users_own_variant_is_not_of_other_code_than_the_others(root: Root) -> None:
    own = trained(1, registers=4)
    done(root, own, {"val/top1": 91.0}, Ending.FINISHED)
    start = root.job(job_id(own)).attempt(1).started
    told = json.loads(start.read_text())
    publish(start, to_json({**told, "code_hash": f"{told['code_hash']}-0wn"}))

    assert study_of(root, "both").mixed == []


def test_what_seeds_said_of_images_is_read_of_the_arms_that_kept_it(root: Root) -> None:
    for seed, right in ((0, 45), (1, 46)):  # of 50: the accuracies that were reported
        label = np.zeros(50, np.uint16)
        said = Predictions(
            key=np.array([b"%d" % place for place in range(50)]),
            label=label,
            classes=(np.arange(50) >= right).astype(np.uint16)[:, None],
            probability=np.ones(50, np.float16),
            loss=np.ones(50, np.float32),
        )
        folder = root.job(job_id(trained(seed))).predictions
        publish(predictions_file(folder, 1, 10), said.to_bytes())

    study = study_of(root, "both")

    ((place, found),) = study.judged.items()
    assert place == (study.arms[0].key, "val/top1")
    assert found.right.sum(axis=1).tolist() == [45, 46]
    assert study.arms[0].scale["train.epochs"] == trained(0).train.epochs
    assert study.unlike == []


def test_nothing_is_written_where_the_name_or_the_place_is_wrong(
    root: Root, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match="No study or sweep 'nothing'"):
        report(root, "nothing", tmp_path / "x.html", tmp_path / "figures")
    with pytest.raises(SpecError, match="There is no folder"):
        report(root, "both", tmp_path / "gone" / "x.html", tmp_path / "figures")

    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_the_page_replaces_an_older_one(root: Root, tmp_path: Path) -> None:
    target = tmp_path / "x.html"
    target.write_text("old")

    assert report(root, "both", target, None) == [target]
    assert "1 diverged" in target.read_text()


def test_models_whose_answer_is_known_are_controls_and_analyses_of_jobs_are_none(
    root: Root,
) -> None:
    plain = {"task": "analyze", "data": {"name": "digits"}}
    known, failed, own = (
        AnalyzeConfig.from_plain({**plain, "of": of})
        for of in ("timm:x", "timm:y", job_id(trained(0)))
    )
    found = {"artifacts/positive": 1.0, "artifacts/positive_blocks": 2, "artifacts/first_block": 5}
    done(root, known, found, Ending.FINISHED)
    done(root, own, {"artifacts/positive": 0.0}, Ending.FINISHED)
    launched(root, "c", {one: {"case": one.of[:6]} for one in (known, failed, own)})
    _, revision = newest_revision(root, "c") or (0, {})
    jobs = [{**revision["jobs"][0], "expect": "artifacts"}, *revision["jobs"][1:]]
    write_revision(root, "c", {**revision, "jobs": jobs})

    study = study_of(root, "both")

    assert [(one.model, one.expect, one.state, dict(one.metrics)) for one in study.controls] == [
        ("x", "artifacts", "DONE", found),
        ("y", "", "PLANNED", {}),
    ]
    assert len(study.evaluations) == 1
    assert {one.name: one.jobs for one in study.spent}["analyses"] == 2
    alone = study_of(root, "c")
    assert [one.name for one in alone.arms] == ["vanilla"]
    assert page(alone, pictures_of(alone)).count("<tr") > 3
