"""The task evaluate: a trained job's weights on the images of another dataset, or of its own.

On a set of other classes, such as ImageNet-A and -R beside ImageNet-100, only the images of S
count, the classes that set and training have in common, by name. Of each: is the likeliest of all
classes right, and is the likeliest of S? The latter is asked of the training's own validation
images of S, too: what is lost between them is the gap.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from orchestrator.config import EvaluateConfig
from orchestrator.errors import DataError
from orchestrator.jobs.datasets import Manifest, load_manifest, misfit
from orchestrator.jobs.facts import Ending
from orchestrator.jobs.files import publish
from orchestrator.jobs.journal import Header, JournalWriter
from orchestrator.jobs.predictions import Predictions, predictions_file
from orchestrator.jobs.store import compare_dataset
from orchestrator.worker.claim import Claim
from orchestrator.worker.data.helpers import Helpers
from orchestrator.worker.data.images import SplitImages
from orchestrator.worker.data.index import load_index
from orchestrator.worker.data.label_spaces import Overlap, overlap
from orchestrator.worker.measure import LARGEST_BATCH, answers, evaluate, predictions
from orchestrator.worker.parents import Trained, weights_of
from orchestrator.worker.passes import Look, Series, in_order, share_of
from orchestrator.worker.ranks import joined
from orchestrator.worker.records import Outcome, leave_if_superseded
from orchestrator.worker.stop import StopFlag, Stopped
from orchestrator.worker.weights import Weights


@dataclass(frozen=True, slots=True)
class Examination:
    """What an evaluation works with."""

    trained: Trained
    data_root: Path
    batch_size: int
    helpers: Helpers
    stop: StopFlag

    @contextmanager
    def images(self, manifest: Manifest) -> Iterator[SplitImages]:
        """The validation images of a dataset."""
        with closing(SplitImages(load_index(self.data_root, manifest, "val"))) as images:
            yield images

    def found(
        self, images: SplitImages, classes: Sequence[int], in_head: Sequence[int]
    ) -> Predictions | None:
        """What the model says of the images of these classes; None on all ranks but the first.

        Args:
            images: of a set.
            classes: labels in that set.
            in_head: the same classes in the model's head, in the same order; the mask.

        Raises:
            DataError: there are no such images.
            Stopped: the ranks were asked to stop and agreed.
        """
        positions = np.flatnonzero(np.isin(images.index.label, classes))
        if not len(positions):
            raise DataError(
                f"Dataset '{images.index.dataset}' has no validation images of the "
                f"{len(classes)} classes to evaluate on."
            )
        series = Series(images, positions, self.batch_size, self.helpers)
        mine = share_of(self.trained, series, self._look(classes, in_head))
        found = in_order(self.trained.ranks, mine, len(positions))
        return None if found is None else predictions(images.index.key[positions], found)

    def _look(self, classes: Sequence[int], in_head: Sequence[int]) -> Look:
        model, ranks = self.trained.model, self.trained.ranks
        mask = torch.tensor(in_head, device=ranks.device)
        to_head = torch.zeros(max(classes) + 1, dtype=torch.int64, device=ranks.device)
        to_head[list(classes)] = mask

        def look(pixels: Tensor, labels: Tensor) -> dict[str, Tensor]:
            asked = ranks.any(self.stop.raised())  # collective, as every pass is
            if any(asked):
                raise Stopped(asked)
            logits = model(pixels)
            masked = mask[logits[:, mask].argmax(dim=1)]
            return {**answers(logits, to_head[labels]), "masked": masked}

        return look


def evaluate_parent(claim: Claim, config: EvaluateConfig, stop: StopFlag) -> Outcome:
    """Evaluate the parent's weights; one point of the journal, at the parent's step.

    Raises:
        RootError: the parent has no such weights, or they are damaged.
        DataError: the set has no class in common with the parent's.
        Stopped: the ranks were asked to stop and agreed; nothing is saved.
    """
    weights, parent = weights_of(claim, config)
    submission = claim.me.submission
    data_root, placement = Path(submission.data_root), submission.placement
    compare_dataset(claim.me.root, load_manifest(data_root, parent.data.name))
    with joined(claim) as ranks:
        examination = Examination(
            Trained.of(parent, weights, ranks),
            data_root,
            placement.micro_batch or LARGEST_BATCH,
            Helpers(processes=placement.loader_workers, pin=ranks.device.type == "cuda"),
            stop,
        )
        metrics, answered = examine(examination, config.data.name)
        if answered is not None:
            _write(claim, weights, metrics, answered)
    facts = {"of": config.of, "checkpoint": config.checkpoint, "weights_sha256": weights.sha256}
    return Outcome(Ending.FINISHED, facts)


@torch.no_grad()
def examine(this: Examination, name: str) -> tuple[dict[str, float], Predictions | None]:
    """The metrics of a dataset, and predictions on the first rank; the others may have neither.

    On the training's own dataset: ``val/*``. On another: ``eval/<name>/`` and, in percent,
    ``top1`` among all classes, ``top1_masked`` among S, ``clean_masked`` the same of the training's
    validation images, ``gap`` from that to the former, ``chance`` of guessing among S; beside them
    ``n`` images and ``classes`` of S.

    Raises:
        DataError: the set does not fit the model, or has no class in common with its training.
        Stopped: the ranks were asked to stop and agreed.
    """
    config = this.trained.config
    manifest = load_manifest(this.data_root, name)
    if name == config.data.name:
        with this.images(manifest) as images:
            found = evaluate(this.trained, images, this.helpers, this.batch_size)
        return found.metrics, found.predictions
    training = load_manifest(this.data_root, config.data.name)
    shared = overlap(training.classes, manifest.classes)
    if fault := misfit(manifest, training):
        raise DataError(fault)
    with this.images(manifest) as images, this.images(training) as clean_images:
        asked = this.found(images, shared.in_set, shared.in_head)
        clean = this.found(clean_images, shared.in_head, shared.in_head)
    if asked is None or clean is None:
        return {}, None
    return _metrics(f"eval/{name}/", shared, asked, clean), replace(asked, clean=clean)


def _metrics(
    prefix: str, shared: Overlap, asked: Predictions, clean: Predictions
) -> dict[str, float]:
    masked, clean_masked = (_percent(one.masked == one.label) for one in (asked, clean))
    found = {
        "top1": _percent(asked.right()),
        "top1_masked": masked,
        "clean_masked": clean_masked,
        "gap": clean_masked - masked,
        "n": len(asked),
        "classes": len(shared.wnids),
        "chance": 100 * shared.chance,
    }
    return {prefix + metric: value for metric, value in found.items()}


def _percent(right: Any) -> float:
    return 100 * float(right.sum()) / len(right)


def _write(
    claim: Claim, weights: Weights, metrics: dict[str, float], answered: Predictions
) -> None:
    """The first rank's: the journal, and what the model said of each image."""
    leave_if_superseded(claim.folder, claim.attempt)
    number = claim.attempt.number
    publish(predictions_file(claim.folder.predictions, number, weights.step), answered.to_bytes())
    header = Header(claim.folder.path.name, number, from_step=None, steps=weights.step)
    with JournalWriter(claim.attempt.journal, header) as journal:
        journal.point(weights.step, weights.epoch, metrics)
