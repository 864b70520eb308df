from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.altered_digits import NAME, SHARED, prepare_altered

from model.vit import build_vit
from orchestrator.config import EvaluateConfig, RunConfig
from orchestrator.errors import DataError, RootError
from orchestrator.jobs.datasets import load_manifest
from orchestrator.jobs.facts import Ending, read_history
from orchestrator.jobs.files import publish, to_json
from orchestrator.jobs.identity import job_id
from orchestrator.jobs.journal import Header, JournalWriter
from orchestrator.jobs.layout import Root
from orchestrator.jobs.orders import Order, write_order
from orchestrator.jobs.predictions import Predictions
from orchestrator.jobs.records import write_job
from orchestrator.worker import weights
from orchestrator.worker.claim import Claim, Membership
from orchestrator.worker.data.helpers import Helpers
from orchestrator.worker.data.images import SplitImages
from orchestrator.worker.data.index import load_index
from orchestrator.worker.data.loader import evaluation_batches
from orchestrator.worker.evaluation import Examination, Trained, evaluate_parent, examine
from orchestrator.worker.parents import ParentError
from orchestrator.worker.pixels import normalised
from orchestrator.worker.place import Place
from orchestrator.worker.ranks import Ranks
from orchestrator.worker.records import Outcome
from orchestrator.worker.stop import StopFlag, Stopped

Tiny = Callable[..., RunConfig]
STEP, EPOCH = 116, 2


@pytest.fixture(scope="module")
def data(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    (folder / "digits").symlink_to(digits / "digits")
    prepare_altered(folder)
    prepare_altered(folder, "strangers", ())
    return folder


@pytest.fixture
def this(tiny: Tiny, data: Path) -> Examination:
    """Of a model that was never trained."""
    config = tiny(model__layer_scale=1.0)
    ranks = Ranks(0, 1, torch.device("cpu"))
    trained = Trained(config, build_vit(config.model, 3).eval(), ranks)
    return Examination(trained, data, 50, Helpers(), StopFlag())


def logits_of(this: Examination, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Of the validation images of a set, one by one, and their classes by name."""
    manifest = load_manifest(this.data_root, name)
    with closing(SplitImages(load_index(this.data_root, manifest, "val"))) as images:
        ones = [np.array([n]) for n in range(len(images))]
        with torch.no_grad():
            found = [
                this.trained.model(normalised(batch.images, "half")).numpy()[0]
                for batch in evaluation_batches(images, ones, 8)
            ]
        return np.array(found), np.array(manifest.classes)[images.index.label]


def test_the_numbers_of_another_set_are_those_told_from_its_logits(this: Examination) -> None:
    metrics, answered = examine(this, NAME)

    logits, names = logits_of(this, NAME)
    counts = np.isin(names, SHARED)
    logits, names = logits[counts], names[counts]
    clean, clean_names = logits_of(this, "digits")
    of_shared = np.isin(clean_names, SHARED)
    columns = [int(name) for name in SHARED]
    masked = np.array(SHARED)[logits[:, columns].argmax(axis=1)] == names
    clean_masked = (
        np.array(SHARED)[clean[of_shared][:, columns].argmax(axis=1)] == clean_names[of_shared]
    )
    assert metrics == pytest.approx(
        {
            f"eval/{NAME}/top1": 100 * (logits.argmax(axis=1) == names.astype(int)).mean(),
            f"eval/{NAME}/top1_masked": 100 * masked.mean(),
            f"eval/{NAME}/clean_masked": 100 * clean_masked.mean(),
            f"eval/{NAME}/gap": 100 * (clean_masked.mean() - masked.mean()),
            f"eval/{NAME}/n": counts.sum(),
            f"eval/{NAME}/classes": 3,
            f"eval/{NAME}/chance": 100 / 3,
        }
    )
    assert 0 < masked.mean() < 1
    assert answered is not None
    assert answered.masked is not None
    assert 100 * answered.right().sum() / len(answered) == metrics[f"eval/{NAME}/top1"]
    assert (answered.masked == answered.label).tolist() == masked.tolist()
    assert answered.clean is not None
    assert (answered.clean.masked == answered.clean.label).tolist() == clean_masked.tolist()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("strangers", r"no class in common with 'digits'.*: new against 0, 1, 2, \.\.\."),
        ("nowhere", "There is no dataset 'nowhere'"),
    ],
)
def test_a_set_on_which_the_model_cannot_be_evaluated_is_refused(
    this: Examination, name: str, words: str
) -> None:
    with pytest.raises(DataError, match=words):
        examine(this, name)


def test_an_evaluation_stops_where_it_is_asked_to(this: Examination) -> None:
    stop = StopFlag()
    stop.note(15)

    with pytest.raises(Stopped):
        examine(replace(this, stop=stop), NAME)


@pytest.fixture
def parent(root: Root, tiny: Tiny) -> str:
    """A job that is done, whose weights were kept after its first epoch and its last."""
    config = tiny()
    job = job_id(config)
    folder, attempt = root.job(job), root.job(job).attempt(1)
    write_job(root, job, config)
    attempt.path.mkdir(parents=True)
    publish(attempt.exit, to_json({"end": "finished", "step": STEP, "metrics": {}}))
    with JournalWriter(attempt.journal, Header(job, 1, None, STEP)) as journal:
        journal.point(STEP, EPOCH, {"val/top1": 7.0})
    for seed, (step, epoch) in enumerate([(STEP // 2, 1), (STEP, EPOCH)]):
        state = build_vit(config.model, seed).state_dict()
        weights.save(folder, attempt, step, epoch, state)
    return job


def claimed(member: Callable[[], Membership], config: EvaluateConfig, data: Path) -> Claim:
    me = member()
    job = job_id(config)
    write_job(me.root, job, config)
    here = me.submission.model_copy(update={"data_root": str(data), "jobs": [job]})
    attempt = me.root.job(job).attempt(1)
    attempt.path.mkdir(parents=True)
    return Claim(Membership(me.root, here, 0), Place(), attempt, None)


def of(parent: str, checkpoint: object = "last", name: str = NAME) -> EvaluateConfig:
    return EvaluateConfig.from_plain(
        {"of": parent, "checkpoint": checkpoint, "data": {"name": name}}
    )


@pytest.mark.parametrize(("checkpoint", "step", "epoch"), [("last", STEP, 2), (1, STEP // 2, 1)])
def test_a_job_evaluates_the_weights_of_its_parent_at_the_parents_step(
    *,
    parent: str,
    member: Callable[[], Membership],
    data: Path,
    tiny: Tiny,
    checkpoint: object,
    step: int,
    epoch: int,
) -> None:
    claim = claimed(member, of(parent, checkpoint), data)

    outcome = evaluate_parent(claim, of(parent, checkpoint), StopFlag())

    (point,) = read_history(claim.folder).points
    (path,) = claim.folder.predictions.iterdir()
    held = Trained(
        tiny(), build_vit(tiny().model, epoch - 1).eval(), Ranks(0, 1, torch.device("cpu"))
    )
    expected, answered = examine(Examination(held, data, 256, Helpers(), StopFlag()), NAME)
    assert (point.step, point.epoch, point.metrics) == (step, epoch, expected)
    assert answered is not None
    assert Predictions.read(path).classes.tolist() == answered.classes.tolist()
    meta = claim.me.root.job(parent).weights / f"001-{step:09d}" / "meta.json"
    assert isinstance(outcome, Outcome)
    assert outcome.ending is Ending.FINISHED
    assert outcome.facts["weights_sha256"] in meta.read_text()


@pytest.mark.parametrize("checkpoint", ["best", 7])
def test_weights_that_were_not_kept_are_told_with_those_that_were(
    parent: str, member: Callable[[], Membership], data: Path, checkpoint: object
) -> None:
    config = of(parent, checkpoint)

    with pytest.raises(RootError, match=rf"no weights of checkpoint {checkpoint} .*1, 2, last\)"):
        evaluate_parent(claimed(member, config, data), config, StopFlag())


@pytest.mark.parametrize("checkpoint", ["last", 1, 7])
def test_nothing_is_looked_at_of_a_parent_that_begins_afresh_until_it_is_done(
    parent: str, member: Callable[[], Membership], data: Path, root: Root, checkpoint: object
) -> None:
    """Its new training has kept the weights of its first epoch so far."""
    config, attempt = of(parent, checkpoint), root.job(parent).attempt(2)
    write_order(root, Order(what="afresh", jobs=[parent], last={parent: 1}))
    claim = claimed(member, config, data)
    with pytest.raises(ParentError, match=f"Parent {parent} is not done, or begins afresh"):
        evaluate_parent(claim, config, StopFlag())
    attempt.path.mkdir()
    with JournalWriter(attempt.journal, Header(parent, 2, -1, STEP)) as journal:
        journal.point(STEP // 2, 1, {})
    weights.save(root.job(parent), attempt, STEP // 2, 1, {})

    with pytest.raises(ParentError, match=f"Parent {parent} is not done, or begins afresh"):
        evaluate_parent(claim, config, StopFlag())


def test_weights_whose_bytes_are_others_are_refused(
    parent: str, root: Root, member: Callable[[], Membership], data: Path
) -> None:
    file = root.job(parent).weights / f"001-{STEP:09d}" / "weights.pt"
    file.write_bytes(file.read_bytes()[:-1] + b"?")

    with pytest.raises(RootError, match=r"not those that meta\.json was written for"):
        evaluate_parent(claimed(member, of(parent), data), of(parent), StopFlag())


def test_on_its_own_dataset_the_numbers_are_those_of_training(
    this: Examination, parent: str, member: Callable[[], Membership], data: Path
) -> None:
    metrics, answered = examine(this, "digits")

    logits, names = logits_of(this, "digits")
    assert metrics["val/top1"] == pytest.approx(
        100 * (logits.argmax(axis=1) == names.astype(int)).mean()
    )
    assert set(metrics) == {"val/loss", "val/top1", "val/top5"}
    assert answered is not None
    assert answered.masked is None
