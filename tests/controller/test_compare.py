from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes.place import attempt
from fakes.slurm import submission
from support.by_hand import PER_EPOCH, STEPS, done, trained

from orchestrator.cli.compare import NOT_TESTED, OTHER_IMAGES, show_comparison
from orchestrator.config import EvaluateConfig, JobConfig
from orchestrator.controller.compare import Comparison, Differs, as_json, compare, differences
from orchestrator.controller.select import Named
from orchestrator.jobs.facts import Ending
from orchestrator.jobs.files import publish, read_record, to_json
from orchestrator.jobs.identity import job_id
from orchestrator.jobs.journal import Header, JournalWriter
from orchestrator.jobs.layout import Root
from orchestrator.jobs.predictions import Predictions, predictions_file
from orchestrator.jobs.probes import probe_file
from orchestrator.jobs.records import write_job
from orchestrator.jobs.store import create_root

TOP1 = [{"val/top1": value} for value in (80.0, 70.0, 75.0)]


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return create_root(tmp_path / "runs")


def named(config: JobConfig) -> Named:
    return Named(job_id(config), "")


def started(root: Root, config: JobConfig, **facts: Any) -> None:
    """Its first attempt says so, too."""
    file = root.job(job_id(config)).attempt(1).started
    publish(file, to_json({**read_record(file), **facts}))


def child(of: JobConfig, **more: Any) -> EvaluateConfig:
    plain = {"task": "evaluate", "of": job_id(of), "data": {"name": "digits"}}
    return EvaluateConfig.from_plain({**plain, **more})


def evaluated(root: Root, config: EvaluateConfig, epoch: int = 3, weights: str = "5ha") -> None:
    """A child that looked at weights of that epoch."""
    job, step = job_id(config), PER_EPOCH * epoch
    write_job(root, job, config)
    folder = attempt(root, job, submission(job, executor="fake"))
    said = {"end": "finished", "time": 9.0, "step": step, "weights_sha256": weights}
    publish(folder.exit, to_json(said))
    with JournalWriter(folder.journal, Header(job, 1, None, step)) as journal:
        journal.point(step, epoch, TOP1[0])
    answered(root, job, step)


def rows(found: Comparison, aspect: str) -> dict[str, tuple[Any, Any]]:
    return {row.what: (row.one, row.other) for row in found.differs if row.aspect == aspect}


def shown(found: Comparison, capsys: pytest.CaptureFixture[str]) -> str:
    show_comparison(found, ("val/",))
    return " ".join(capsys.readouterr().out.split())


def test_what_one_lacks_and_what_both_have_otherwise_is_told_by_aspect() -> None:
    one = {"settings": {"optim.lr": 1e-3, "seed": 0}, "code": {"hash": "a"}}
    other = {"settings": {"optim.lr": 1e-3, "seed": 1, "model.gate.mode": "add"}, "code": {}}

    assert list(differences(one, other)) == [
        Differs("settings", "model.gate.mode", None, "add"),
        Differs("settings", "seed", 0, 1),
        Differs("code", "hash", "a", None),
    ]


def answered(root: Root, job: str, step: int) -> None:
    label = np.zeros(8, np.uint16)
    said = Predictions(
        key=np.array([b"%d" % place for place in range(8)]),
        label=label,
        classes=np.stack([label, label + 1], axis=1),
        probability=label.astype(np.float16),
        loss=label.astype(np.float32),
    )
    publish(predictions_file(root.job(job).predictions, 1, step), said.to_bytes())


@pytest.mark.parametrize(
    ("side", "predicted", "tested"),
    [
        ("finished, epoch 3", 3, 1),
        ("finished, epoch 3", 1, 0),
        ("diverged, epoch 3", 3, 0),
        ("not over, epoch 2", 2, 0),
    ],
)
def test_two_runs_are_tested_where_both_finished_and_said_it_at_their_end(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    side: str,
    predicted: int,
    tested: int,
) -> None:
    root = create_root(tmp_path / "runs")
    first, second = (Named(job_id(trained(seed)), f"run-{seed}") for seed in (0, 1))
    done(root, trained(0), *TOP1)
    end = next((one for one in Ending if side.startswith(one)), None)
    done(root, trained(1), *TOP1[: int(side[-1])], end=end)
    answered(root, first.id, STEPS)
    answered(root, second.id, PER_EPOCH * predicted)

    found = compare(root, first, second)
    show_comparison(found, ("val/",))
    printed = " ".join(capsys.readouterr().out.split())

    assert found.answers is not None
    assert (found.answers.p is not None) == bool(tested)
    assert as_json(found)["other"]["predicted"] == predicted
    assert f"run-1 ({second.id[:8]}), {side}" in printed
    assert f"after epoch 3 of one, {predicted} of other" in printed
    assert (NOT_TESTED in printed) != bool(tested)


@pytest.mark.parametrize(
    ("other", "contents", "compared"),
    [
        ("digits", ("a", "a"), 1),
        ("digits", ("a", None), 1),
        ("digits", ("a", "b"), 0),
        ("digits_moved", ("a", None), 0),
    ],
)
def test_images_of_other_sets_that_are_called_the_same_are_not_compared(
    root: Root,
    capsys: pytest.CaptureFixture[str],
    other: str,
    contents: tuple[str | None, str | None],
    compared: int,
) -> None:
    done(root, trained(0), *TOP1)
    done(root, trained(1), *TOP1)
    pair = child(trained(0)), child(trained(1), data={"name": other})
    for config, content in zip(pair, contents, strict=True):
        evaluated(root, config)
        started(root, config, content_hash=content)

    found = compare(root, *map(named, pair))

    assert (as_json(found)["answers"] is not None) == bool(compared)
    assert (OTHER_IMAGES in shown(found, capsys)) != bool(compared)


def test_of_children_the_settings_of_their_parents_differ_and_the_weights_that_they_read(
    root: Root,
) -> None:
    plain, wider = trained(0), trained(0, registers=2)
    for parent in (plain, wider):
        done(root, parent, *TOP1)
        evaluated(root, child(parent), weights=f"{parent.model.registers}")
    started(root, wider, code_hash="new")

    found = compare(root, named(child(plain)), named(child(wider)))

    assert rows(found, "settings") == {
        "model.registers": (0, 2),
        "of": (job_id(plain), job_id(wider)),
    }
    assert rows(found, "weights") == {"sha256": ("0", "2"), "code of parent": ("c0de", "new")}


def test_a_training_and_its_own_child_have_all_settings_of_the_training_in_common(
    root: Root,
) -> None:
    done(root, trained(0), *TOP1)
    evaluated(root, child(trained(0)))

    found = compare(root, named(trained(0)), named(child(trained(0))))

    assert rows(found, "settings") == {
        "task": ("train", "evaluate"),
        "of": (None, job_id(trained(0))),
        "checkpoint": (None, "last"),
    }
    assert rows(found, "weights")["sha256"] == (None, "5ha")


def test_code_data_and_ranks_of_all_attempts_that_made_a_run_are_compared(
    root: Root, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in (0, 1):
        done(root, trained(seed), *TOP1)
        job = job_id(trained(seed))
        folder = root.job(job).attempt(1)
        published = folder.exit.read_bytes()
        folder.exit.unlink()
        now = attempt(root, job, submission(job, executor="fake"), 2, content_hash="b", world=2)
        publish(now.exit, published)
        with JournalWriter(now.journal, Header(job, 2, 2 * PER_EPOCH, STEPS)) as journal:
            journal.point(STEPS, 3, TOP1[2])
        started(root, trained(seed), content_hash="b", world=2)
    started(root, trained(0), code_hash="old", content_hash="a", world=1)

    found = compare(root, named(trained(0)), named(trained(1)))

    assert rows(found, "code") == {"hash": (["old", "c0de"], "c0de")}
    assert rows(found, "data") == {"content": (["a", "b"], "b")}
    assert rows(found, "environment") == {"world": ([1, 2], 2)}
    assert "old, c0de" in shown(found, capsys)


def test_what_an_attempt_did_that_a_later_one_did_over_from_the_start_counts_for_nothing(
    root: Root,
) -> None:
    for seed in (0, 1):
        done(root, trained(seed), *TOP1, end=None)
    job = job_id(trained(0))
    now = attempt(root, job, submission(job, executor="fake"), 2)
    JournalWriter(now.journal, Header(job, 2, None, STEPS)).close()
    started(root, trained(0), code_hash="old")

    found = compare(root, named(trained(0)), named(trained(1)))

    assert rows(found, "code") == {}


@pytest.mark.parametrize(
    ("end", "epoch", "tested"),
    [(Ending.FINISHED, 3, 1), (Ending.FINISHED, 1, 0), (Ending.DIVERGED, 3, 0)],
)
def test_children_are_tested_where_both_looked_at_the_end_of_a_training_that_finished(
    root: Root, end: Ending, epoch: int, tested: int
) -> None:
    done(root, trained(0), *TOP1)
    done(root, trained(1), *TOP1, end=end)
    one, other = child(trained(0)), child(trained(1), checkpoint="last" if epoch == 3 else epoch)
    evaluated(root, one)
    evaluated(root, other, epoch)

    found = compare(root, named(one), named(other))

    assert found.answers is not None
    assert (found.answers.p is not None) == bool(tested)


def test_that_a_journal_is_lost_is_told_and_then_nothing_is_tested(
    root: Root, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in (0, 1):
        done(root, trained(seed), *TOP1)
        answered(root, job_id(trained(seed)), STEPS)
    root.job(job_id(trained(1))).attempt(1).journal.unlink()

    found = compare(root, named(trained(0)), named(trained(1)))

    lost = "its journal is missing or damaged: it ends at step 0 of 30"
    assert [*as_json(found)["one"]["faults"], *as_json(found)["other"]["faults"]] == [lost]
    assert found.answers is not None
    assert found.answers.p is None
    printed = shown(found, capsys)
    assert f"Of other: {lost}." in printed
    assert f"after which epochs is not known ({NOT_TESTED})" in printed


@pytest.mark.parametrize("content", [b"no archive", b""])
def test_damaged_predictions_and_probes_are_told_in_our_words_and_all_else_is_compared(
    root: Root, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    for seed in (0, 1):
        done(root, trained(seed), *TOP1)
        answered(root, job_id(trained(seed)), STEPS)
    folder = root.job(job_id(trained(1)))
    damaged = predictions_file(folder.predictions, 1, STEPS)
    publish(damaged, content)
    publish(probe_file(folder.probes, 1, STEPS), content)

    found = compare(root, named(trained(0)), named(trained(1)))

    fault = f"its predictions are not compared: {damaged} is missing or damaged"
    assert (found.answers, found.other.faults) == (None, (fault,))
    assert rows(found, "data") == {"probed images": ([], "a probe cannot be read")}
    assert rows(found, "settings") == {"seed": (0, 1)}
    printed = shown(found, capsys)
    assert f"Of other: {fault}." in printed
    assert "pickle" not in printed
    assert OTHER_IMAGES not in printed
