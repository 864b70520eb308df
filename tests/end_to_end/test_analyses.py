"""Looking inside what jobs have trained, and inside models of timm's that others have."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.pool_bench import Bench
from support.timm_cache import NAME, fill_cache

from orchestrator.controller.select import select
from orchestrator.jobs.arrays import unpacked
from orchestrator.jobs.facts import read_history
from orchestrator.jobs.probes import PICTURE, read_pictures
from orchestrator.worker.probing.images import choose_images
from orchestrator.worker.probing.run import run
from orchestrator.worker.probing.weights_file import weights_hash
from orchestrator.worker.probing.zoo import timm_specimen

pytestmark = pytest.mark.slow

TRAIN = """
name: trained
set:
  data: {name: digits}
  model: {img_size: 8, patch_size: 4, in_chans: 1, num_classes: 10, dim: 16, depth: 2, heads: 2}
  optim: {lr: 5.0e-3, warmup_epochs: 0}
  train: {epochs: 1, batch_size: 96, chunk: 48}
  probe: {images: 40}
grid: [{model.registers: [2]}]
placement: {device: cpu}
"""
ANALYSE = """
name: analysed
task: analyze
of: {sweeps: [trained.yaml]}
set: {data.name: digits}
placement: {device: cpu}
"""
CONTROLS = f"""
name: controls
task: analyze
of:
  timm:
    tiny: {{model: {NAME}, expect: none}}
set: {{data.name: digits, analysis.images: 40}}
placement: {{device: cpu, ranks: 2, micro_batch: 16}}
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> Iterator[Bench]:
    made = Bench(tmp_path_factory.mktemp("desk"), tmp_path_factory.mktemp("data"))
    (made.data / "digits").symlink_to(digits / "digits")
    for name, text in {"trained": TRAIN, "analysed": ANALYSE, "controls": CONTROLS}.items():
        (made.folder / f"{name}.yaml").write_text(text)
    yield made
    made.tear_down()


@pytest.fixture(scope="module")
def over(desk: Bench) -> Bench:
    """A desk at which a job was trained and analysed, of which the analysis was launched first."""
    assert "1 wait for their parents" in said(desk, "launch", "analysed.yaml")
    said(desk, "launch", "trained.yaml", "--wait")
    said(desk, "watch", "analysed")
    return desk


def said(desk: Bench, *words: str, **environment: str) -> str:
    done = desk.orchestrate(*words, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def file_of(desk: Bench, sweep: str) -> Path:
    (job,) = select(desk.root, sweep)
    (file,) = desk.root.job(job.id).probes.iterdir()
    return file


def exit_of(desk: Bench, sweep: str) -> dict[str, Any]:
    (job,) = select(desk.root, sweep)
    found: dict[str, Any] = json.loads(desk.attempts_on(job.id)[-1].exit.read_text())
    return found


def test_an_analysis_waits_for_its_parent_and_finds_what_that_ones_last_probe_found(
    over: Bench,
) -> None:
    (parent,), (child,) = select(over.root, "trained"), select(over.root, "analysed")
    before = read_history(over.root.job(parent.id)).last()
    (point,) = read_history(over.root.job(child.id)).points
    probed = {key: one for key, one in point.metrics.items() if not key.startswith("artifacts/")}
    assert (point.step, point.epoch) == (15, 1)
    assert {"norms/outlier_share", "attention/register_share"} <= probed.keys()
    assert probed == {key: before[key] for key in probed}
    assert point.metrics["artifacts/positive"] == point.metrics["artifacts/positive_blocks"] == 0
    file, theirs = file_of(over, "analysed"), file_of(over, "trained")
    with unpacked(file) as arrays, unpacked(theirs) as known:
        assert {*arrays.files} <= {*known.files}
        for name in arrays.files:
            if not name.startswith(PICTURE):
                assert (arrays[name] == known[name]).all() or arrays[name].dtype.kind == "f", name
    assert read_pictures(file).keys() == read_pictures(theirs).keys() != set()
    (kept,) = over.root.job(parent.id).weights.iterdir()
    told = exit_of(over, "analysed")
    assert told["weights_sha256"] == json.loads((kept / "meta.json").read_text())["sha256"]
    assert (told["of"], told["checkpoint"]) == (parent.id, "last")


def test_results_tell_analyses_on_the_axes_of_their_parents(over: Bench) -> None:
    words = ("--metric", "artifacts/positive", "--also", "norms/max_over_median")

    (row,) = json.loads(
        said(over, "results", "analysed", *words, "--by", "model.registers", "--json")
    )["rows"]

    assert (row["model.registers"], row["n"], row["mean"]) == (2, 1, 0.0)
    assert row["norms/max_over_median"] > 1


def test_an_analysis_takes_as_long_as_those_of_the_same_kind_before(over: Bench) -> None:
    (over.folder / "again.yaml").write_text(
        ANALYSE.replace("analysed", "again") + "grid: [{checkpoint: [best]}]\n"
    )

    assert "1 job like it here: " in said(over, "plan", "again.yaml")


def older(desk: Bench) -> list[bool]:
    jobs = json.loads(said(desk, "status", "analysed", "--json"))["jobs"]
    return [job["older_weights"] for job in jobs]


@pytest.mark.soak
def test_an_analysis_is_of_older_weights_once_its_parent_has_others(over: Bench) -> None:
    before = exit_of(over, "analysed")["weights_sha256"]
    assert older(over) == [False]
    on_two_ranks = TRAIN.replace("{device: cpu}", "{device: cpu, ranks: 2}")
    (over.folder / "trained.yaml").write_text(on_two_ranks)
    said(over, "launch", "trained.yaml", "--fresh", "all", "--yes", "--wait")

    assert older(over) == [True]
    assert "is of its weights before" in said(over, "why", "analysed/registers=2,digits")
    said(over, "launch", "analysed.yaml", "--fresh", "older", "--yes", "--wait")
    assert older(over) == [False]
    assert exit_of(over, "analysed")["weights_sha256"] != before


def test_weights_that_cannot_be_had_fail_a_job_at_once_and_say_what_to_do(
    desk: Bench, tmp_path: Path
) -> None:
    nobody = {"HF_HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9"}

    done = desk.orchestrate("launch", "controls.yaml", "--wait", **nobody)

    assert done.returncode == 3
    status = json.loads(said(desk, "status", "controls", "--json"))["jobs"][0]
    assert (status["state"], status["attempts"]) == ("FAILED", 1)
    assert f"The weights of '{NAME}' are not in the cache of this machine" in status["reason"]
    assert "127.0.0.1 cannot be reached" in status["reason"]
    told = said(desk, "why", "controls/tiny,digits")
    assert "weights: pretrained weights are not on its machine" in told
    assert "$HF_HOME" in told


def test_a_model_of_timm_is_analysed_with_the_weights_of_its_cache(
    desk: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = fill_cache(tmp_path)
    here = {"HF_HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9"}

    said(desk, "launch", "controls.yaml", "--wait", **here)

    (job,) = select(desk.root, "controls")
    (point,) = read_history(desk.root.job(job.id)).points
    monkeypatch.setattr("orchestrator.worker.probing.zoo.pretrained", lambda *_: model)
    expected = run(timm_specimen(NAME), choose_images(desk.data / "digits", 40), batch=16)
    probed = {key: one for key, one in point.metrics.items() if not key.startswith("artifacts/")}
    assert probed == pytest.approx(expected.findings.scalars, rel=1e-4)
    assert (point.step, point.epoch, point.metrics["artifacts/positive"]) == (0, 0, 0)
    assert read_pictures(file_of(desk, "controls"))
    assert exit_of(desk, "controls")["weights_sha256"] == weights_hash(model)
    words = ("results", "controls", "--metric", "artifacts/positive", "--by", "case", "--json")
    assert [row["case"] for row in json.loads(said(desk, *words))["rows"]] == ["tiny"]
