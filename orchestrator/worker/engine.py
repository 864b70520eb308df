"""The training loop, from the first step to the last, readable top to bottom."""

from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import torch

from model.flops import count_macs, count_params, count_training_flops, vanilla
from model.probes.base import Findings
from orchestrator.config import Placement, RunConfig
from orchestrator.errors import DataError
from orchestrator.jobs.arrays import packed
from orchestrator.jobs.datasets import load_manifest
from orchestrator.jobs.facts import Ending
from orchestrator.worker import checkpoint
from orchestrator.worker.accounting import Clock, peak_flops, peak_memory_gb
from orchestrator.worker.claim import Claim
from orchestrator.worker.data.corrupt import Met
from orchestrator.worker.data.decoded import open_training_images
from orchestrator.worker.data.helpers import Helpers
from orchestrator.worker.data.images import Images, SplitImages
from orchestrator.worker.data.index import load_index
from orchestrator.worker.data.loader import Feed, Portion, training_portions
from orchestrator.worker.data.order import steps_per_epoch
from orchestrator.worker.losses import zero_logit_loss
from orchestrator.worker.measure import evaluate, probe
from orchestrator.worker.optim import learning_rate
from orchestrator.worker.pictures import pictures
from orchestrator.worker.ranks import joined
from orchestrator.worker.scribe import Scribe
from orchestrator.worker.stop import StopFlag, Stopped
from orchestrator.worker.trainer import Trainer

READ_EVERY = 10
"""After so many steps the host reads what they told, and waits for the device; whatever the
placement, so that a run that diverges ends at the same step everywhere."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one rank's loop works with; ``scribe`` is None on all ranks but the first."""

    trainer: Trainer
    train: Images
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
        DataError: images cannot be read, too many are corrupt, or ranks see other checkpoints.
        SpecError: the dataset cannot be fed as asked, or there is no compiler.
        OSError: what is to be kept could not be written.
    """
    placement, data = claim.me.submission.placement, Path(claim.me.submission.data_root)
    manifest = load_manifest(data, config.data.name)
    with ExitStack() as stack:
        val_images = stack.enter_context(closing(SplitImages(load_index(data, manifest, "val"))))
        px = config.data.decoded_px  # ranks meet once their images are there: that may take minutes
        images = stack.enter_context(
            closing(open_training_images(data, manifest, px, placement, stop))
        )
        ranks = stack.enter_context(joined(claim))
        trainer = Trainer.fresh(config, ranks, placement)
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
            scribe = Scribe.open(
                claim.folder, claim.attempt, ranks.device, from_step=from_step, steps=steps
            )
            stack.enter_context(scribe)
        run = Run(trainer, images, val_images, placement, scribe, per_epoch, steps)
        ending = _loop(run, stop)
        _keep_weights(run)
        return ending


def _loop(run: Run, stop: StopFlag) -> Ending:
    trainer, ranks, config = run.trainer, run.trainer.ranks, run.trainer.config
    if _divergence(run):  # killed after the checkpoint that says so
        return Ending.DIVERGED
    clock = Clock.start(ranks.device, run.placement.checkpoint_minutes)
    if run.scribe and trainer.step == 0:
        run.scribe.point(0, 0, cost(config))
    feed = Feed.of(config, rank=ranks.rank, world=ranks.world)
    met = Met(config.data)
    steps = range(trainer.step, run.steps)
    for portion in clock.waiting(training_portions(run.train, feed, steps, run.helpers)):
        met.take(portion.corrupt)
        rate = learning_rate(
            portion.step,
            steps=run.steps,
            steps_per_epoch=run.steps_per_epoch,
            config=config.optim,
        )
        findings = trainer.take(portion, rate, watched=_is_probed_after(run, portion))
        clock.stepped(portion.total)
        _measure(run, clock, {"train/lr": rate} | _replaced(run, met), findings)
        divergence = _divergence(run)
        if divergence and run.scribe and trainer.course.epoch.norms:  # within an epoch
            epoch = trainer.step // run.steps_per_epoch
            run.scribe.point(trainer.step, epoch, trainer.course.epoch.metrics())
        last = trainer.step == run.steps
        *asked, due = ranks.any([*stop.raised(), clock.checkpoint_due()])
        if any(asked) or due or divergence or last:
            with clock.pause("checkpoint"):
                _checkpoint(run)
            clock.checkpointed()
        if divergence:
            print(f"Diverged at step {trainer.step}: {divergence}.", flush=True)
            return Ending.DIVERGED
        if any(asked) and not last:
            if run.scribe:
                run.scribe.wait()
            raise Stopped(asked)
    return Ending.FINISHED


def _divergence(run: Run) -> str | None:
    """Why the run counts as diverged, at the steps after which that is asked."""
    trainer = run.trainer
    if trainer.step % READ_EVERY and trainer.step % run.steps_per_epoch:
        return None
    trainer.read()
    return trainer.course.divergence


def _checkpoint(run: Run) -> None:
    """Every rank gives its part of the state; the first publishes it."""
    state = run.trainer.state()
    if run.scribe:
        run.scribe.checkpoint(run.trainer.step, state)


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


def _measure(run: Run, clock: Clock, facts: dict[str, float], findings: Findings | None) -> None:
    """After a step: a training point with these facts and, where an epoch ends, a look.

    ``findings``: what was found of gradients and updates, if the model is probed now.
    """
    trainer = run.trainer
    epoch, rest = divmod(trainer.step, run.steps_per_epoch)
    if _is_pointed_at(run):
        trainer.read()
        metrics = trainer.course.end_window() | clock.end_point() | facts
        if run.scribe:
            run.scribe.point(trainer.step, epoch, metrics)
    if rest == 0:
        _look(run, clock, epoch, findings)
        if epoch in run.placement.keep_epochs:  # before the checkpoint that goes on from here
            _keep_weights(run)


def _keep_weights(run: Run) -> None:
    """Publish the model alone, for good; every rank gives its part."""
    step, weights = run.trainer.step, run.trainer.weights()
    if run.scribe:
        run.scribe.weights(step, step // run.steps_per_epoch, weights)


def _look(run: Run, clock: Clock, epoch: int, findings: Findings | None) -> None:
    """At the end of an epoch, evaluate and probe if it is their turn; one point of the journal."""
    trainer, config = run.trainer, run.trainer.config
    last = epoch == config.train.epochs
    trainer.read()
    metrics = trainer.course.end_epoch(limit=_limit(config, epoch))
    if last or epoch % config.evaluation.every_epochs == 0:
        with clock.pause("evaluate"):
            metrics |= _evaluate(run, epoch)
    if findings is not None:
        with clock.pause("probe"):
            metrics |= _probe(run, epoch, findings)
    metrics |= _account(run, clock)
    if run.scribe:
        run.scribe.point(trainer.step, epoch, metrics)


def _limit(config: RunConfig, epoch: int) -> float | None:
    """The loss above which epoch number ``epoch`` (from 1) speaks of divergence; None in warm-up.

    A schedule by epochs is one behind; see ``optim.learning_rate``.
    """
    warming = config.optim.warmup_epochs + (config.optim.schedule == "epoch")
    if epoch <= warming:
        return None
    return zero_logit_loss(config.train, config.model.num_classes)


def _evaluate(run: Run, epoch: int) -> dict[str, float]:
    """Accuracy now; where it is the highest so far, the weights are kept as the best.

    Of the best epoch and of the last one the predictions are kept, too.
    """
    trainer = run.trainer
    with trainer.looked_at():
        found = evaluate(trainer, run.val, run.helpers, run.placement.micro_batch)
    best = found.metrics["val/top1"] > trainer.best
    if run.scribe and found.predictions and (best or epoch == trainer.config.train.epochs):
        run.scribe.answers(trainer.step, found.predictions.to_bytes())
    if best:
        trainer.best = found.metrics["val/top1"]
        weights = trainer.weights()
        if run.scribe:
            run.scribe.best(trainer.step, epoch, weights)
    return found.metrics


def _probe(run: Run, epoch: int, findings: Findings) -> dict[str, float]:
    """What the probes find; arrays and pictures go to a file of their own."""
    trainer, config = run.trainer, run.trainer.config
    with trainer.looked_at():
        found = probe(trainer, run.val, run.helpers, epoch)
    if run.scribe is None or found is None:
        return {}
    found |= findings
    drawn = pictures(config, run.val, found, epoch)
    run.scribe.arrays(trainer.step, packed(found.arrays | drawn))
    return dict(found.scalars)


def _account(run: Run, clock: Clock) -> dict[str, float]:
    """Where the epoch's time went, on this rank, and the most memory that a rank took."""
    ranks, config = run.trainer.ranks, run.trainer.config
    peak = peak_flops(ranks.device, run.placement)
    told = clock.end_epoch(count_training_flops(config.model), peak and peak * ranks.world)
    return told | {"memory/peak_gb": ranks.largest(peak_memory_gb(ranks.device))}


def cost(config: RunConfig) -> dict[str, float]:
    """Multiply-accumulates of a forward pass of one image, and the number of parameters."""
    macs = count_macs(config.model)
    return {
        "flops/forward_macs": macs,
        "flops/relative_to_vanilla": macs / count_macs(vanilla(config.model)),
        "flops/params": count_params(config.model),
    }
