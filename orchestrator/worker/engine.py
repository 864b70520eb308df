"""The training loop, from the first step to the last, readable top to bottom."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch

from model.flops import count_macs, count_params, vanilla
from model.probes.base import Findings
from model.probes.weights import gradients_by_block
from orchestrator.config import Placement, RunConfig
from orchestrator.errors import DataError
from orchestrator.jobs.datasets import load_manifest
from orchestrator.jobs.facts import Ending
from orchestrator.worker import checkpoint
from orchestrator.worker.claim import Claim
from orchestrator.worker.data.corrupt import Met
from orchestrator.worker.data.images import SplitImages
from orchestrator.worker.data.index import load_index
from orchestrator.worker.data.loader import Feed, Helpers, Portion, training_portions
from orchestrator.worker.data.order import steps_per_epoch
from orchestrator.worker.measure import evaluate, packed, probe
from orchestrator.worker.optim import learning_rate, set_learning_rate
from orchestrator.worker.pictures import pictures
from orchestrator.worker.ranks import joined
from orchestrator.worker.scribe import Scribe
from orchestrator.worker.stop import StopFlag, Stopped
from orchestrator.worker.trainer import Trainer, Window

NONFINITE_LIMIT = 10
"""So many steps in a row without a finite gradient end a run as diverged."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one rank's loop works with; ``scribe`` is None on all ranks but the first."""

    trainer: Trainer
    train: SplitImages
    val: SplitImages
    placement: Placement
    scribe: Scribe | None
    steps_per_epoch: int
    steps: int

    @property
    def helpers(self) -> Helpers:
        return Helpers(
            processes=self.placement.loader_workers,
            pin=self.trainer.ranks.device.type == "cuda",
        )


def train(claim: Claim, config: RunConfig, stop: StopFlag) -> Ending:
    """Train a job to its end, from its newest checkpoint on if there is one.

    Raises:
        Stopped: the ranks were asked to stop and agreed; everything is saved.
    """
    placement, data = claim.me.submission.placement, Path(claim.me.submission.data_root)
    manifest = load_manifest(data, config.data.name)
    with ExitStack() as stack:
        ranks = stack.enter_context(joined(claim))
        images, val_images = (
            stack.enter_context(closing(SplitImages(load_index(data, manifest, split))))
            for split in ("train", "val")
        )
        trainer = Trainer.fresh(config, ranks, placement.micro_batch)
        per_epoch = steps_per_epoch(len(images), config.train)
        steps = per_epoch * config.train.epochs
        saved = checkpoint.load_newest(claim.folder, claim.discarded)
        if saved is not None:
            trainer.resume(saved)
        if not ranks.agree(trainer.step):
            raise DataError(
                f"Rank {ranks.rank} found the checkpoint of step {trainer.step}, another rank "
                "another one: the shared file system shows its files late. Launch again."
            )
        scribe = None
        if ranks.first:
            from_step = trainer.step if saved else None
            scribe = Scribe.open(claim.folder, claim.attempt, from_step=from_step, steps=steps)
            stack.enter_context(scribe)
        run = Run(trainer, images, val_images, placement, scribe, per_epoch, steps)
        ending = _loop(run, stop)
        _keep_weights(run)
        return ending


def _loop(run: Run, stop: StopFlag) -> Ending:
    trainer, ranks, config = run.trainer, run.trainer.ranks, run.trainer.config
    if trainer.nonfinite >= NONFINITE_LIMIT:  # killed after the checkpoint that says so
        return Ending.DIVERGED
    pace = Pace(run.placement.checkpoint_minutes * 60)
    if run.scribe and trainer.step == 0:
        run.scribe.point(0, 0, cost(config))
    feed = Feed.of(config, rank=ranks.rank, world=ranks.world)
    met = Met(config.data)
    for portion in training_portions(run.train, feed, range(trainer.step, run.steps), run.helpers):
        met.take(portion.corrupt)
        rate = learning_rate(
            portion.step,
            steps=run.steps,
            steps_per_epoch=run.steps_per_epoch,
            config=config.optim,
        )
        set_learning_rate(trainer.optimizer, rate)
        loss = trainer.backward(portion)
        gradients = gradients_by_block(trainer.model) if _is_probed_after(run, portion) else None
        trainer.descend(portion, loss)
        _measure(run, pace, {"train/lr": rate} | _replaced(run, met), gradients)
        last = trainer.step == run.steps
        diverged = trainer.nonfinite >= NONFINITE_LIMIT
        *asked, due = ranks.any([*stop.raised(), pace.checkpoint_due()])
        if any(asked) or due or diverged or last:
            if run.scribe:
                run.scribe.checkpoint(trainer.step, trainer.state())
            pace.checkpointed()
        if diverged:
            return Ending.DIVERGED
        if any(asked) and not last:
            raise Stopped(asked)
    return Ending.FINISHED


def _is_probed_after(run: Run, portion: Portion) -> bool:
    """Whether this step ends an epoch at which the model is probed."""
    epoch, rest = divmod(portion.step + 1, run.steps_per_epoch)
    return rest == 0 and _is_probed(run.trainer.config, epoch)


def _is_probed(config: RunConfig, epoch: int) -> bool:
    return epoch == config.train.epochs or epoch % config.probe.every_epochs == 0


def _replaced(run: Run, met: Met) -> dict[str, float]:
    """Where a training point is due and images may be replaced: how many were, over all ranks."""
    if run.trainer.config.data.corrupt == "fail" or not _is_pointed_at(run):
        return {}
    ranks = run.trainer.ranks
    return {"data/replaced": int(ranks.sum(torch.tensor([met.since()], device=ranks.device)))}


def _is_pointed_at(run: Run) -> bool:
    step = run.trainer.step
    return step == run.steps or step % run.placement.log_every_steps == 0


def _measure(run: Run, pace: "Pace", facts: dict[str, float], gradients: Findings | None) -> None:
    """After a step: a training point with these facts and, where an epoch ends, a look."""
    trainer = run.trainer
    epoch, rest = divmod(trainer.step, run.steps_per_epoch)
    if _is_pointed_at(run):
        metrics = pace.training_point(trainer) | facts
        if run.scribe:
            run.scribe.point(trainer.step, epoch, metrics)
    if rest == 0:
        with pace.paused():
            _look(run, epoch, gradients)
            if epoch in run.placement.keep_epochs:  # before the checkpoint that goes on from here
                _keep_weights(run)


def _keep_weights(run: Run) -> None:
    """Publish the model alone, for good."""
    if run.scribe:
        step = run.trainer.step
        run.scribe.weights(step, step // run.steps_per_epoch, run.trainer.model.state_dict())


def _look(run: Run, epoch: int, gradients: Findings | None) -> None:
    """At the end of an epoch, evaluate and probe if it is their turn; one point of the journal.

    ``gradients``: what was found of them before the epoch's last step, if a probe follows.
    """
    trainer, config = run.trainer, run.trainer.config
    last = epoch == config.train.epochs
    trainer.model.eval()
    metrics: dict[str, float] = {}
    if last or epoch % config.evaluation.every_epochs == 0:
        metrics |= evaluate(trainer, run.val, run.helpers, run.placement.micro_batch)
    if gradients is not None:
        findings = probe(trainer, run.val, run.helpers, epoch)
        if run.scribe and findings:
            findings |= gradients
            drawn = pictures(config, run.val, findings, epoch)
            run.scribe.arrays(trainer.step, packed(findings.arrays | drawn))
            metrics |= findings.scalars
    if run.scribe and metrics:
        run.scribe.point(trainer.step, epoch, metrics)


@dataclass(slots=True)
class Pace:
    """The only clock of the loop: speed, and when a checkpoint is due."""

    checkpoint_every_s: float
    saved_at: float = field(default_factory=time.monotonic)
    pointed_at: float = field(default_factory=time.monotonic)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What happens meanwhile does not count as training time."""
        began = time.monotonic()
        yield
        self.pointed_at += time.monotonic() - began

    def checkpoint_due(self) -> bool:
        return time.monotonic() - self.saved_at >= self.checkpoint_every_s

    def checkpointed(self) -> None:
        self.saved_at = time.monotonic()

    def training_point(self, trainer: Trainer) -> dict[str, float]:
        """Metrics over the steps since the last point, and a new window."""
        window, trainer.window = trainer.window, Window()
        now = time.monotonic()
        seconds, self.pointed_at = now - self.pointed_at, now
        return {
            "train/loss": window.loss / window.images,
            "train/grad_norm": window.grad_norm / window.steps,
            "train/images_per_s": window.images / seconds,
        }


def cost(config: RunConfig) -> dict[str, float]:
    """Multiply-accumulates of a forward pass of one image, and the number of parameters."""
    macs = count_macs(config.model)
    return {
        "flops/forward_macs": macs,
        "flops/relative_to_vanilla": macs / count_macs(vanilla(config.model)),
        "flops/params": count_params(config.model),
    }
