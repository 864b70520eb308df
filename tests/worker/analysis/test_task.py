"""An analysis of weights that a parent left, in this process."""

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from model.vit import build_vit
from orchestrator.config import AnalyzeConfig, RunConfig
from orchestrator.config.analyze import AnalysisConfig
from orchestrator.errors import DataError, RootError, SpecError
from orchestrator.jobs.facts import Ending, read_history
from orchestrator.jobs.files import publish, to_json
from orchestrator.jobs.identity import job_id
from orchestrator.jobs.journal import Header, JournalWriter
from orchestrator.jobs.layout import Root
from orchestrator.jobs.probes import read_batch
from orchestrator.jobs.records import write_job
from orchestrator.worker import weights
from orchestrator.worker.analysis.task import ANALYSES, analyze
from orchestrator.worker.claim import Claim, Membership
from orchestrator.worker.place import Place
from orchestrator.worker.stop import StopFlag, Stopped

Claimed = Callable[[AnalyzeConfig], Claim]
STEP, EPOCH = 116, 2


@pytest.fixture
def parent(root: Root, tiny: Callable[..., RunConfig]) -> str:
    """A job that is done, whose weights were kept after its last epoch; it is probed on 40."""
    config = tiny(probe__images=40)
    job = job_id(config)
    folder, attempt = root.job(job), root.job(job).attempt(1)
    write_job(root, job, config)
    attempt.path.mkdir(parents=True)
    publish(attempt.exit, to_json({"end": "finished", "step": STEP, "metrics": {}}))
    with JournalWriter(attempt.journal, Header(job, 1, None, STEP)) as journal:
        journal.point(STEP, EPOCH, {"val/top1": 7.0})
    weights.save(folder, attempt, STEP, EPOCH, build_vit(config.model, 0).state_dict())
    return job


@pytest.fixture
def claimed(member: Callable[[], Membership], digits: Path) -> Claimed:
    def claim(config: AnalyzeConfig) -> Claim:
        me = member()
        job = job_id(config)
        write_job(me.root, job, config)
        here = me.submission.model_copy(update={"data_root": str(digits), "jobs": [job]})
        attempt = me.root.job(job).attempt(1)
        attempt.path.mkdir(parents=True)
        return Claim(Membership(me.root, here, 0), Place(), attempt, None)

    return claim


def of(parent: str, **more: object) -> AnalyzeConfig:
    return AnalyzeConfig.from_plain({"of": parent, "data": {"name": "digits"}, **more})


def test_every_analysis_that_a_sweep_may_name_is_one() -> None:
    assert {*ANALYSES} == {*get_args(AnalysisConfig.model_fields["name"].annotation)}


def test_an_analysis_is_one_point_at_its_parents_step_and_a_file_of_probes(
    parent: str, claimed: Claimed
) -> None:
    claim = claimed(of(parent))

    outcome = analyze(claim, of(parent), StopFlag())

    (point,) = read_history(claim.folder).points
    (file,) = claim.folder.probes.iterdir()
    assert (point.step, point.epoch, point.metrics["artifacts/positive"]) == (STEP, EPOCH, 0.0)
    assert file.name == f"001-{STEP:09d}.npz"
    assert outcome.ending is Ending.FINISHED
    assert outcome.facts["of"] == parent


def test_as_many_images_are_looked_at_as_are_asked_for_else_as_many_as_the_parent_probes(
    parent: str, claimed: Claimed, capsys: pytest.CaptureFixture[str]
) -> None:
    batches, metrics = [], []
    for analysis in ({}, {"images": 40}, {"images": 20}):
        config = of(parent, analysis=analysis)
        claim = claimed(config)
        analyze(claim, config, StopFlag())
        (file,) = claim.folder.probes.iterdir()
        batches.append(read_batch(file))
        metrics.append(read_history(claim.folder).last())

    assert batches[0] == batches[1] != batches[2]
    assert metrics[0] == metrics[1]
    assert "artifacts/positive" not in metrics[2]
    assert "20 images at epoch 2, the rule needs 30" in capsys.readouterr().out


def test_an_analysis_stops_where_it_is_asked_to_and_leaves_nothing(
    parent: str, claimed: Claimed
) -> None:
    stop = StopFlag()
    stop.note(15)
    claim = claimed(of(parent))

    with pytest.raises(Stopped):
        analyze(claim, of(parent), stop)
    assert not claim.folder.probes.exists()


@pytest.mark.parametrize(
    ("model", "more", "error", "words"),
    [
        ("parent", {"checkpoint": 7}, RootError, r"no weights of checkpoint 7 .*kept: 2, last\)"),
        ("parent", {"data": {"name": "nowhere"}}, DataError, "There is no dataset 'nowhere'"),
        ("timm:vit_tiny_patch99", {}, SpecError, "timm has no model 'vit_tiny_patch99'"),
        ("timm:resnet10t", {}, SpecError, "is a ResNet"),
    ],
)
def test_what_cannot_be_analysed_is_told(
    *,
    parent: str,
    claimed: Claimed,
    model: str,
    more: dict[str, object],
    error: type[Exception],
    words: str,
) -> None:
    config = of(parent if model == "parent" else model, **more)

    with pytest.raises(error, match=words):
        analyze(claimed(config), config, StopFlag())
