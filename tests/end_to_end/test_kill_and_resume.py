"""A worker killed with -9 anywhere goes on bit for bit as if nothing had happened."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.lasting import lasting
from support.pool_bench import until
from support.soak import some

from orchestrator.config import Placement, RunConfig
from orchestrator.controller.survey import survey
from orchestrator.controller.usage import attempts_of
from orchestrator.jobs.datasets import load_manifest
from orchestrator.jobs.facts import Ending, read_attempts, read_history
from orchestrator.jobs.layout import JobFolder, Root
from orchestrator.jobs.predictions import predictions_by_step
from orchestrator.jobs.processes import Process
from orchestrator.jobs.saved import saved_in, still_count
from orchestrator.jobs.state import State
from orchestrator.jobs.store import launched_revision
from orchestrator.worker.data.helpers import Helpers
from orchestrator.worker.data.images import SplitImages
from orchestrator.worker.data.index import load_index
from orchestrator.worker.measure import evaluate, probe
from orchestrator.worker.ranks import Ranks
from orchestrator.worker.trainer import Trainer

pytestmark = pytest.mark.slow

FAULTS = Path(__file__).parents[1] / "support" / "faults"
CONFIG = {
    "data": {"name": "digits"},
    "model": {
        "img_size": 8,
        "patch_size": 4,
        "in_chans": 1,
        "num_classes": 10,
        "dim": 16,
        "depth": 2,
        "heads": 2,
        "registers": 1,
        "gate": {"position": "sdpa"},
        "drop_path": 0.1,
    },
    "optim": {"lr": 3e-3, "warmup_epochs": 1},
    "train": {"epochs": 3, "batch_size": 96, "chunk": 32},
    "probe": {"every_epochs": 1, "images": 50},
}

MOMENTS = (
    *("half a checkpoint", "journal synced, checkpoint not published", "checkpoint published"),
    *("half of weights", "weights published", "last weights published"),
)


@dataclass(frozen=True)
class Bench:
    """A run root with one job, and the command line on it."""

    folder: Path
    data: Path
    ranks: int
    workers: int = 0
    parallel: str = "ddp"

    def launch(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        self.folder.mkdir(exist_ok=True)
        sweep = self.folder / "tiny.yaml"
        placement = {
            "ranks": self.ranks,
            "parallel": self.parallel,
            "loader_workers": self.workers,
            "checkpoint_minutes": 0.003,
            "log_every_steps": 4,
            "keep_epochs": [1, 2],
        }
        sweep.write_text(json.dumps({"name": "tiny", "set": CONFIG, "placement": placement}))
        command = [sys.executable, "-m", "orchestrator.cli", "launch", str(sweep)]
        options = ["--root", str(self.root.path), "--data-root", str(self.data)]
        return subprocess.run(
            [*command, *options, *words],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=True,
        )

    def gc(self) -> None:
        command = [sys.executable, "-m", "orchestrator.cli", "gc", "--yes"]
        subprocess.run([*command, "--root", str(self.root.path)], check=True)

    @property
    def root(self) -> Root:
        return Root(self.folder / "runs")

    @property
    def job(self) -> JobFolder:
        (job,) = launched_revision(self.root, "tiny")["jobs"]
        return self.root.job(job["id"])

    def wait(self, seconds: float = 400) -> list[dict[str, Any]]:
        """The pools' records of how members ended, once none runs any more."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            logs = [folder.pool.read_text() for folder in self.root.submissions()]
            entries = [[json.loads(line) for line in log.splitlines()] for log in logs]
            ends = [entry["how"] for log in entries for entry in log if "end" in entry]
            if len(ends) == len(logs):
                return ends
            time.sleep(0.1)
        raise TimeoutError(f"still running after {seconds} s")

    def result(self) -> dict[str, Any]:
        """Everything that must not depend on interruptions."""
        history = read_history(self.job)
        newest = max(self.job.checkpoints.iterdir(), key=lambda p: p.name.split("-")[::-1])
        state = torch.load(newest / "state.pt", weights_only=True)
        attempts = read_attempts(self.job)
        kept, best = (
            [
                (one.step, _plain(torch.load(one.path / "weights.pt", weights_only=True)))
                for one in still_count(saved_in(folder), attempts)
            ]
            for folder in (self.job.weights, self.job.best)
        )
        answers = predictions_by_step(self.job.predictions, attempts)
        probes = max(self.job.probes.iterdir(), key=lambda p: p.stem.split("-")[::-1])
        return {
            "points": [(p.step, p.epoch, lasting(p.metrics)) for p in history.points],
            "state": _plain(state),
            "probes": _plain(dict(np.load(probes))),
            "weights": kept,
            "best": best,
            "predictions": {step: _plain(dict(np.load(path))) for step, path in answers.items()},
        }


def _plain(value: Any) -> Any:
    """Tensors and arrays as bytes, so that == compares every bit."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, torch.Tensor):
        value = value.numpy()
    if isinstance(value, np.ndarray):
        return (str(value.dtype), value.shape, value.tobytes())
    return value


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory, digits: Path) -> Any:
    """Results of uninterrupted runs, by number of ranks, each trained once."""

    @lru_cache
    def run(ranks: int, parallel: str = "ddp") -> dict[str, Any]:
        folder = tmp_path_factory.mktemp(f"calm{ranks}") / "bench"
        bench = Bench(folder, digits, ranks, parallel=parallel)
        bench.launch()
        bench.wait()
        assert [a.ending for a in read_attempts(bench.job)] == [Ending.FINISHED]
        result = bench.result()
        assert [step for step, _ in result["weights"]] == [15, 30, 45]
        ((best, _),) = result["best"]
        assert result["predictions"].keys() == {best, 45}
        return result

    return run


@pytest.mark.parametrize(
    ("moment", "ranks"), some(product(MOMENTS, [1, 2]), often=zip(MOMENTS, [2, 1] * 3, strict=True))
)
def test_a_worker_killed_around_what_it_publishes_ends_with_the_same_bits(
    tmp_path: Path, digits: Path, calm: Any, ranks: int, moment: str
) -> None:
    bench = Bench(tmp_path / "bench", digits, ranks)
    bench.launch(PYTHONPATH=str(FAULTS), KILL_AT=moment, KILLED_ONCE=str(tmp_path / "killed"))
    (killed,) = bench.wait()
    assert killed["signal"] == signal.SIGKILL

    bench.launch()
    bench.wait()

    assert [a.ending for a in read_attempts(bench.job)] == [None, Ending.FINISHED]
    assert bench.result() == calm(ranks)


@pytest.mark.parametrize(
    ("ranks", "victim"), some([(1, 0), (2, 0), (2, 1), (3, 1)], often=[(2, 1)])
)
def test_a_rank_killed_in_the_middle_of_an_epoch_ends_with_the_same_bits(
    tmp_path: Path, digits: Path, calm: Any, ranks: int, victim: int
) -> None:
    bench = Bench(tmp_path / "bench", digits, ranks)
    bench.launch()
    _wait_for_step(bench, 20)
    until(lambda: any(bench.job.checkpoints.glob("001-*")), 240)
    os.kill(_rank_process(bench, victim), signal.SIGKILL)
    bench.wait()
    (killed,) = survey(bench.root, [bench.job.path.name]).statuses.values()
    assert (killed.state, killed.kind, killed.given_up) == (State.FAILED, "killed", False)
    assert killed.reason.startswith("killed with signal 9")

    bench.launch()
    bench.wait()

    assert read_attempts(bench.job)[-1].ending is Ending.FINISHED
    assert bench.result() == calm(ranks)
    first, second = attempts_of(bench.root, [bench.job.path.name])
    assert 0 < first.lost_s < first.seconds
    assert second.lost_s == 0
    assert second.complete


@pytest.mark.soak
def test_a_rank_killed_that_has_a_part_of_the_model_ends_with_the_same_bits(
    tmp_path: Path, digits: Path, calm: Any
) -> None:
    bench = Bench(tmp_path / "bench", digits, 2, parallel="fsdp2")
    bench.launch()
    _wait_for_step(bench, 20)
    os.kill(_rank_process(bench, 1), signal.SIGKILL)
    bench.wait()

    bench.launch()
    bench.wait()

    _, second = read_attempts(bench.job)
    assert second.ending is Ending.FINISHED
    assert bench.result() == calm(2, "fsdp2")


def test_ranks_that_share_a_model_find_what_those_find_that_have_all_of_it(calm: Any) -> None:
    whole, shared = calm(2), calm(2, "fsdp2")

    for name, weight in _weights(whole).items():
        np.testing.assert_allclose(_weights(shared)[name], weight, atol=2e-3, err_msg=name)
    steps, others = ([point[:2] for point in one["points"]] for one in (whole, shared))
    assert steps == others
    (_, _, first), (_, _, found) = (one["points"][1] for one in (whole, shared))
    assert found == pytest.approx(first, rel=1e-5)
    (_, _, first), (_, _, found) = (one["points"][-1] for one in (whole, shared))
    assert found.keys() == first.keys() >= {"val/top1", "norms/median", "updates/median"}
    assert found["val/loss"] == pytest.approx(first["val/loss"], rel=1e-2)


@pytest.mark.parametrize("ranks", some([1, 2], often=[2]))
def test_a_job_asked_to_stop_saves_at_that_step_and_ends_with_the_same_bits(
    tmp_path: Path, digits: Path, calm: Any, ranks: int
) -> None:
    bench = Bench(tmp_path / "bench", digits, ranks)
    bench.launch()
    _wait_for_step(bench, 12)
    os.kill(_rank_process(bench, ranks - 1), signal.SIGTERM)
    (stopped,) = bench.wait()
    (attempt,) = read_attempts(bench.job)
    assert (stopped["exit_code"], attempt.ending) == (75, Ending.STOPPED)

    bench.gc()
    bench.launch()
    bench.wait()

    second = read_attempts(bench.job)[-1]
    assert second.ending is Ending.FINISHED
    assert bench.result() == calm(ranks)


@pytest.mark.soak
@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("seed", range(10))
def test_ranks_killed_again_and_again_at_random_end_with_the_same_bits(
    tmp_path: Path, digits: Path, calm: Any, ranks: int, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - moments, not secrets
    bench = Bench(tmp_path / "bench", digits, ranks)
    for kills in range(4):
        bench.launch()
        _wait_for_attempt(bench, kills + 1)
        time.sleep(chance.uniform(0, 6))
        with suppress(ProcessLookupError, FileNotFoundError, IndexError):  # over already
            os.kill(_rank_process(bench, chance.randrange(ranks)), signal.SIGKILL)
        bench.wait()
    bench.launch()
    bench.wait()

    assert bench.result() == calm(ranks)


@pytest.mark.soak
@pytest.mark.parametrize("ranks", [1, 2])
def test_a_job_that_begins_afresh_goes_on_from_nothing_of_its_old_self_even_when_killed(
    tmp_path: Path, digits: Path, calm: Any, ranks: int
) -> None:
    bench = Bench(tmp_path / "bench", digits, ranks)
    bench.launch()
    bench.wait()
    moment = {"KILL_AT": "checkpoint published", "KILLED_ONCE": str(tmp_path / "killed")}

    bench.launch("--fresh", "all", "--yes", PYTHONPATH=str(FAULTS), **moment)
    bench.wait()
    killed = [attempt.ending for attempt in read_attempts(bench.job)]
    bench.launch()
    bench.wait()

    first, second, third = read_attempts(bench.job)
    assert killed == [Ending.FINISHED, None]
    assert (first.from_step, second.from_step, third.ending) == (-1, -1, Ending.FINISHED)
    assert 0 < (third.from_step or 0) < first.step
    assert bench.result() == calm(ranks)


def test_after_gc_a_done_job_has_its_weights_alone_and_is_not_trained_again(
    tmp_path: Path, digits: Path, calm: Any
) -> None:
    bench = Bench(tmp_path / "bench", digits, ranks=1)
    bench.launch()
    bench.wait()
    bench.gc()

    (kept,) = [one for one in saved_in(bench.job.weights) if one.step == 45]
    model = torch.load(kept.path / "weights.pt", weights_only=True)
    assert _plain(model) == calm(1)["state"]["model"]
    assert list(bench.job.checkpoints.iterdir()) == []
    assert "0 of 1 jobs submitted" in bench.launch().stdout
    assert read_attempts(bench.job)[-1].ending is Ending.FINISHED


def test_helpers_that_read_images_change_no_bit(tmp_path: Path, digits: Path, calm: Any) -> None:
    bench = Bench(tmp_path / "bench", digits, ranks=1, workers=2)
    bench.launch()
    bench.wait()

    assert bench.result() == calm(1)


def test_one_two_and_three_ranks_differ_only_by_the_order_of_sums(calm: Any) -> None:
    alone, two, three = (_weights(calm(ranks)) for ranks in (1, 2, 3))

    for name, weight in alone.items():
        np.testing.assert_allclose(two[name], weight, atol=2e-3, err_msg=name)
        np.testing.assert_allclose(three[name], weight, atol=2e-3, err_msg=name)
    first = [calm(ranks)["points"][1][2]["train/loss"] for ranks in (1, 2, 3)]
    assert first == pytest.approx([first[0]] * 3, rel=1e-5)


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_together_measure_what_one_process_measures(
    digits: Path, calm: Any, ranks: int
) -> None:
    result = calm(ranks)
    model = {
        name: torch.frombuffer(bytearray(content), dtype=torch.float32).reshape(shape)
        for name, (_, shape, content) in result["state"]["model"].items()
    }
    trainer = Trainer.fresh(
        RunConfig.from_plain(CONFIG), Ranks(0, 1, torch.device("cpu")), Placement()
    )
    trainer.model.load_state_dict(model)
    trainer.model.eval()
    images = SplitImages(load_index(digits, load_manifest(digits, "digits"), "val"))

    measured = evaluate(trainer, images, Helpers()).metrics
    found = probe(trainer, images, Helpers(), 1)

    last = result["points"][-1][2]
    assert (measured["val/top1"], measured["val/top5"]) == (last["val/top1"], last["val/top5"])
    assert measured["val/loss"] == pytest.approx(last["val/loss"], rel=1e-6)
    assert found is not None
    assert {k: last[k] for k in found.scalars} == pytest.approx(found.scalars, rel=1e-4)


def _weights(result: dict[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    return {
        name: np.frombuffer(content, dtype).reshape(shape)
        for name, (dtype, shape, content) in result["state"]["model"].items()
    }


def _wait_for_step(bench: Bench, step: int) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        points = read_history(bench.job).points if bench.root.job_folders() else ()
        if points and points[-1].step >= step:
            return
        time.sleep(0.005)
    raise TimeoutError(f"step {step} was not reached")


def _wait_for_attempt(bench: Bench, number: int) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        attempts = read_attempts(bench.job)
        if len(attempts) >= number or any(a.ending is Ending.FINISHED for a in attempts):
            return
        time.sleep(0.05)
    raise TimeoutError(f"attempt {number} did not start")


def _rank_process(bench: Bench, rank: int) -> int:
    """Process number of a rank of the newest attempt: the pool starts ranks one after another."""
    newest = read_attempts(bench.job)[-1].start
    log = bench.root.submission(newest.token).pool.read_text()
    pool = Process.named(json.loads(log.splitlines()[0])["pool"]).pid
    children = Path(f"/proc/{pool}/task/{pool}/children").read_text()
    return sorted(int(pid) for pid in children.split())[rank]
