import io
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from model.figures import PICTURES
from orchestrator.config import Placement, RunConfig
from orchestrator.errors import DataError
from orchestrator.jobs.datasets import load_manifest
from orchestrator.jobs.facts import Ending
from orchestrator.jobs.probes import probe_file, read_pictures
from orchestrator.worker import engine
from orchestrator.worker.data.images import CorruptImage, SplitImages
from orchestrator.worker.data.index import load_index
from orchestrator.worker.data.order import steps_per_epoch
from orchestrator.worker.engine import Run
from orchestrator.worker.measure import Evaluation
from orchestrator.worker.ranks import Ranks
from orchestrator.worker.stability import NONFINITE_LIMIT
from orchestrator.worker.stop import StopFlag, Stopped
from orchestrator.worker.trainer import Trainer

Tiny = Callable[..., RunConfig]


@dataclass
class Notes:
    """A scribe that keeps what it is told."""

    points: list[tuple[int, int, Mapping[str, float]]] = field(default_factory=list)
    saved: list[dict[str, Any]] = field(default_factory=list)
    probed: list[tuple[int, bytes]] = field(default_factory=list)
    kept: list[tuple[int, int, int]] = field(default_factory=list)
    """Step and epoch of weights that were kept, and how many checkpoints were there by then."""
    answered: list[tuple[int, bytes]] = field(default_factory=list)
    bests: list[tuple[int, int]] = field(default_factory=list)
    waited: int = 0

    def point(self, step: int, epoch: int, metrics: Mapping[str, float]) -> None:
        self.points.append((step, epoch, metrics))

    def arrays(self, step: int, content: bytes) -> None:
        self.probed.append((step, content))

    def weights(self, step: int, epoch: int, _: Mapping[str, torch.Tensor]) -> None:
        self.kept.append((step, epoch, len(self.saved)))

    def best(self, step: int, epoch: int, _: Mapping[str, torch.Tensor]) -> None:
        self.bests.append((step, epoch))

    def answers(self, step: int, content: bytes) -> None:
        self.answered.append((step, content))

    def wait(self) -> None:
        self.waited += 1

    def checkpoint(self, step: int, state: Mapping[str, Any]) -> None:
        assert step == state["step"]
        copied = {name: value.clone() for name, value in state["model"].items()}
        self.saved.append({**state, "model": copied})


@pytest.fixture
def images(digits: Path) -> Iterator[tuple[SplitImages, SplitImages]]:
    manifest = load_manifest(digits, "digits")
    with (
        closing(SplitImages(load_index(digits, manifest, "train"))) as train,
        closing(SplitImages(load_index(digits, manifest, "val"))) as val,
    ):
        yield train, val


def run_of(config: RunConfig, images: tuple[SplitImages, SplitImages], notes: Notes) -> Run:
    trainer = Trainer.fresh(config, Ranks(0, 1, torch.device("cpu")), Placement())
    per_epoch = steps_per_epoch(len(images[0]), config.train)
    steps = per_epoch * config.train.epochs
    placement = Placement(log_every_steps=25)
    return Run(trainer, *images, placement, notes, per_epoch, steps)  # type: ignore[arg-type]


def test_training_points_come_on_time_and_the_last_epoch_is_looked_at(
    tiny: Tiny, images: tuple[SplitImages, SplitImages]
) -> None:
    notes = Notes()
    config = tiny(train__epochs=2, evaluation__every_epochs=5, probe__every_epochs=5)

    ending = engine._loop(run_of(config, images, notes), StopFlag())

    told = [(step, epoch, min(metrics).split("/")[0]) for step, epoch, metrics in notes.points]
    assert ending is Ending.FINISHED
    assert [step for step, _, family in told if family == "train"] == [25, 50, 75, 100, 114]
    assert [(step, epoch) for step, epoch, family in told if family == "activations"] == [(114, 2)]
    assert notes.points[0][2].keys() >= {"flops/forward_macs", "flops/params"}
    assert [state["step"] for state in notes.saved] == [114]


def test_images_that_stand_in_for_corrupt_ones_are_counted_in_the_journal(
    tiny: Tiny, images: tuple[SplitImages, SplitImages], monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes()
    read = SplitImages.image

    def spoilt(self: SplitImages, position: int) -> Any:
        if self is images[0] and position in {5, 700}:
            raise CorruptImage("words", "planted")
        return read(self, position)

    monkeypatch.setattr(SplitImages, "image", spoilt)
    config = tiny(train__epochs=2, data__corrupt="skip", data__max_corrupt=2)

    engine._loop(run_of(config, images, notes), StopFlag())

    told = [metrics["data/replaced"] for _, _, metrics in notes.points if "train/lr" in metrics]
    assert len(told) == 5
    assert sum(told) == 4  # two images in each of two epochs
    config = tiny(train__epochs=2, data__corrupt="skip", data__max_corrupt=1)
    with pytest.raises(DataError, match="2 training images do not decode"):
        engine._loop(run_of(config, images, Notes()), StopFlag())


def test_gradients_that_stay_non_finite_end_a_run_as_diverged_whenever_it_was_killed(
    tiny: Tiny, images: tuple[SplitImages, SplitImages]
) -> None:
    notes = Notes()
    run = run_of(tiny(), images, notes)
    with torch.no_grad():
        run.trainer.model.head.bias[0] = float("inf")

    assert engine._loop(run, StopFlag()) is Ending.DIVERGED
    assert run.trainer.step == NONFINITE_LIMIT
    assert notes.points[-1][0] == NONFINITE_LIMIT
    assert notes.points[-1][2]["stability/nonfinite_steps"] == NONFINITE_LIMIT
    resumed = run_of(tiny(), images, Notes())
    resumed.trainer.resume(notes.saved[-1])
    assert engine._loop(resumed, StopFlag()) is Ending.DIVERGED
    assert resumed.trainer.step == NONFINITE_LIMIT


def test_a_run_that_was_killed_between_looks_diverges_at_the_step_of_one_that_was_not(
    tiny: Tiny, images: tuple[SplitImages, SplitImages]
) -> None:
    run = run_of(tiny(), images, Notes())
    with torch.no_grad():
        run.trainer.model.head.bias[0] = float("inf")
    run.trainer.step = 3
    run.trainer.course.nonfinite = run.trainer.course.longest_nonfinite = NONFINITE_LIMIT

    assert engine._loop(run, StopFlag()) is Ending.DIVERGED
    assert run.trainer.step == engine.READ_EVERY


def test_a_stop_saves_after_the_step_it_came_in_and_not_before_the_epoch_was_looked_at(
    tiny: Tiny, images: tuple[SplitImages, SplitImages], monkeypatch: pytest.MonkeyPatch
) -> None:
    notes, stop = Notes(), StopFlag()
    run = run_of(tiny(), images, notes)
    descend = Trainer.descend

    def asked_at_the_end_of_the_epoch(trainer: Trainer, *step: Any) -> None:
        descend(trainer, *step)
        if trainer.step == run.steps_per_epoch:
            stop.note(signal.SIGTERM)

    monkeypatch.setattr(Trainer, "descend", asked_at_the_end_of_the_epoch)
    with pytest.raises(Stopped):
        engine._loop(run, stop)

    assert [state["step"] for state in notes.saved] == [run.steps_per_epoch]
    assert "val/top1" in notes.points[-1][2]


def test_weights_are_kept_before_the_checkpoint_from_which_a_run_may_go_on_and_change_no_bit(
    tiny: Tiny, images: tuple[SplitImages, SplitImages]
) -> None:
    plain, keeping = Notes(), Notes()
    runs = [run_of(tiny(train__epochs=3), images, notes) for notes in (plain, keeping)]
    often = {"checkpoint_minutes": 0, "keep_epochs": (1, 3)}
    runs[1] = replace(runs[1], placement=runs[1].placement.model_copy(update=often))
    for run in runs:
        engine._loop(run, StopFlag())

    epoch = runs[1].steps_per_epoch
    assert keeping.kept == [(epoch, 1, epoch - 1), (3 * epoch, 3, 3 * epoch - 1)]
    last, same = plain.saved[-1]["model"], keeping.saved[-1]["model"]
    assert all(torch.equal(last[name], same[name]) for name in last)


def test_a_probe_leaves_its_pictures_beside_its_arrays_and_one_that_fails_ends_nothing(
    tiny: Tiny,
    images: tuple[SplitImages, SplitImages],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    notes, random = Notes(), (torch.get_rng_state(), np.random.get_state()[1].copy())  # noqa: NPY002
    failing = Mock(side_effect=RuntimeError("no font"))
    monkeypatch.setattr("orchestrator.worker.pictures.PICTURES", PICTURES | {"norm_map": failing})
    config = tiny(train__epochs=1, probe__images=20)

    ending = engine._loop(run_of(config, images, notes), StopFlag())

    ((step, content),) = notes.probed
    file = probe_file(tmp_path, 1, step)
    file.write_bytes(content)
    assert ending is Ending.FINISHED
    assert read_pictures(file).keys() == {"norms_by_block", "attention_map"}
    assert all(png.startswith(b"\x89PNG") for png in read_pictures(file).values())
    assert np.load(file)["norms/maps"].shape == (6, 2, 2)
    assert "RuntimeError: no font" in "".join(capfd.readouterr())
    assert torch.equal(torch.get_rng_state(), random[0])
    assert (np.random.get_state()[1] == random[1]).all()  # noqa: NPY002


def test_a_probe_tells_the_gradients_of_its_epoch_s_last_step_block_by_block_before_clipping(
    tiny: Tiny, images: tuple[SplitImages, SplitImages]
) -> None:
    notes = Notes()
    config = tiny(train__epochs=2, probe__every_epochs=2, probe__images=20, optim__clip_norm=1e-3)
    run = run_of(config, images, notes)
    run = replace(run, placement=run.placement.model_copy(update={"log_every_steps": 1}))

    engine._loop(run, StopFlag())

    ((_, content),) = notes.probed
    blocks = np.load(io.BytesIO(content))["gradients/by_block"]
    whole = next(m["train/grad_norm"] for step, _, m in notes.points if step == run.steps)
    assert blocks.shape == (config.model.depth,)
    assert 0.3 * whole < np.sqrt((blocks**2).sum()) < whole
    assert notes.points[-1][2]["gradients/max"] == blocks.max()


def test_costs_are_told_against_the_plain_transformer_of_the_same_size(tiny: Tiny) -> None:
    plain = engine.cost(tiny())
    gated = engine.cost(tiny(model__gate={"position": "sdpa"}, model__registers=3))

    assert plain["flops/relative_to_vanilla"] == 1
    ratio = gated["flops/forward_macs"] / plain["flops/forward_macs"]
    assert gated["flops/relative_to_vanilla"] == ratio > 1


def test_an_epoch_tells_how_steadily_it_trained_and_where_its_time_went(
    tiny: Tiny, images: tuple[SplitImages, SplitImages]
) -> None:
    notes = Notes()
    run = run_of(tiny(train__epochs=2, probe__every_epochs=2, probe__images=20), images, notes)
    run = replace(run, placement=run.placement.model_copy(update={"peak_tflops": 0.1}))

    engine._loop(run, StopFlag())

    first, second = (m for _, _, m in notes.points if "val/top1" in m)
    for told in (first, second):
        assert told["stability/grad_norm_p50"] <= told["stability/grad_norm_max"]
        assert told["stability/nonfinite_steps"] == 0
        assert 0 < told["time/data_wait_share"] < 1
        assert 0 < told["time/step_p50_s"] <= told["time/step_max_s"] < told["time/epoch_s"]
        assert 0 < told["train/mfu"] < 1
        assert told["memory/peak_gb"] > 0
        assert told["time/evaluate_s"] > 0
    assert "time/probe_s" in second.keys() - first.keys()
    assert 0 < second["updates/median"] <= second["updates/max"] < 1
    losses = [m["train/loss"] for step, epoch, m in notes.points if "train/lr" in m and epoch == 0]
    assert first["stability/epoch_loss"] == pytest.approx(np.mean(losses[:2]), rel=0.1)


def test_the_weights_of_the_best_epoch_are_kept_and_a_resumed_run_knows_how_good_they_are(
    tiny: Tiny, images: tuple[SplitImages, SplitImages], monkeypatch: pytest.MonkeyPatch
) -> None:
    accuracies = iter([30.0, 50.0, 50.0, 40.0, 60.0])
    evaluate = engine.evaluate

    def told(*rest: Any) -> Evaluation:
        return replace(evaluate(*rest), metrics={"val/top1": next(accuracies)})

    monkeypatch.setattr(engine, "evaluate", told)
    notes = Notes()
    run = run_of(tiny(train__epochs=4), images, notes)
    engine._loop(run, StopFlag())
    resumed = run_of(tiny(train__epochs=5), images, again := Notes())
    resumed.trainer.resume(notes.saved[-1])
    engine._loop(resumed, StopFlag())

    assert [epoch for _, epoch in notes.bests] == [1, 2]
    assert [epoch for _, epoch in again.bests] == [5]
    assert notes.saved[-1]["best"] == 50.0
    per_epoch = run.steps_per_epoch
    assert [step // per_epoch for step, _ in notes.answered] == [1, 2, 4]  # 4 is the last


def test_a_run_that_learns_less_than_nothing_ends_as_diverged_after_two_epochs_past_warm_up(
    tiny: Tiny, images: tuple[SplitImages, SplitImages], capfd: pytest.CaptureFixture[str]
) -> None:
    notes = Notes()
    config = tiny(train__epochs=6, optim__lr=1e-9, optim__min_lr=0, optim__warmup_epochs=1)
    run = run_of(config, images, notes)
    with torch.no_grad():
        run.trainer.model.head.bias[0] = 50.0

    assert engine._loop(run, StopFlag()) is Ending.DIVERGED

    assert run.trainer.step == 3 * run.steps_per_epoch
    assert "a model that knows nothing" in capfd.readouterr().out
    assert notes.saved[-1]["step"] == run.trainer.step
    resumed = run_of(config, images, Notes())
    resumed.trainer.resume(notes.saved[-1])
    assert engine._loop(resumed, StopFlag()) is Ending.DIVERGED


def test_when_a_run_is_found_to_diverge_does_not_depend_on_how_often_it_is_told_of(
    tiny: Tiny, images: tuple[SplitImages, SplitImages]
) -> None:
    ends = []
    for log_every_steps in (1, 7, 1000):
        run = run_of(tiny(), images, Notes())
        run = replace(run, placement=Placement(log_every_steps=log_every_steps))
        with torch.no_grad():
            run.trainer.model.head.bias[0] = float("inf")
        engine._loop(run, StopFlag())
        ends.append(run.trainer.step)

    assert ends == [10, 10, 10]
