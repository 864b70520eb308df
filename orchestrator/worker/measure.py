"""Looking at a model between epochs: accuracy on the validation split, probes on a fixed batch."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from model.probes.base import Array, Findings, Subject
from model.probes.suite import measure, summarise
from model.probes.weights import layer_scales
from orchestrator.jobs.predictions import LIKELIEST, Predictions
from orchestrator.worker.data.helpers import Helpers
from orchestrator.worker.data.images import SplitImages
from orchestrator.worker.data.index import Index, probe_positions
from orchestrator.worker.data.order import Positions
from orchestrator.worker.passes import Held, Series, blank_image, in_order, share_of

LARGEST_BATCH = 256
PROBE_BATCH = 32
"""Attention weights of one block are held for this many images at once."""
KEPT_AS = {
    "label": np.uint16,
    "classes": np.uint16,
    "probability": np.float16,
    "loss": np.float32,
    "masked": np.uint16,
}
"""By field of ``Predictions``."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluation found: metrics on every rank, each image's predictions on the first."""

    metrics: dict[str, float]
    predictions: Predictions | None


@torch.no_grad()
def evaluate(
    held: Held, images: SplitImages, helpers: Helpers, batch_size: int | None = None
) -> Evaluation:
    """``val/loss`` (cross-entropy, nats), ``val/top1`` and ``val/top5`` (percent).

    Every image counts once, however uneven the ranks' shares; with fewer than five classes top5
    is over all of them.
    """
    series = Series(images, np.arange(len(images)), batch_size or LARGEST_BATCH, helpers)
    mine = share_of(held, series, lambda pixels, labels: answers(held.model(pixels), labels))
    right = mine["classes"] == mine["label"][:, None]
    sums = [mine["loss"].sum(dtype=np.float64), right[:, 0].sum(), right.sum()]
    totals = torch.tensor([float(one) for one in sums], dtype=torch.float64)
    loss, top1, top5 = (held.ranks.sum(totals.to(held.ranks.device)) / len(images)).tolist()
    found = in_order(held.ranks, mine, len(images))
    return Evaluation(
        {"val/loss": loss, "val/top1": 100 * top1, "val/top5": 100 * top5},
        None if found is None else predictions(images.index.key, found),
    )


def answers(logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """What is kept of each image's logits: the fields of ``Predictions``, but for the key."""
    log_odds = F.log_softmax(logits.float(), dim=1)
    best = log_odds.topk(min(LIKELIEST, log_odds.shape[1]))
    return {
        "label": labels,
        "classes": best.indices,
        "probability": best.values[:, 0].exp(),
        "loss": F.nll_loss(log_odds, labels, reduction="none"),
    }


def predictions(key: NDArray[np.bytes_], found: Mapping[str, Array]) -> Predictions:
    """The answers of all images, in the types in which they are kept."""
    arrays: dict[str, Any] = {name: found[name].astype(KEPT_AS[name]) for name in found}
    return Predictions(key=key, **arrays)


@torch.no_grad()
def probe(held: Held, images: SplitImages, helpers: Helpers, epoch: int) -> Findings | None:
    """What the probes find on the fixed probe batch; None on all ranks but the first.

    Raw weights in float32; every rank measures its share of the images, and the first puts them
    back in order.
    """
    positions = probe_positions(images.index, held.config.probe.images)
    series = Series(images, positions, PROBE_BATCH, helpers)
    mine = share_of(held, series, lambda pixels, _: measure(held.model, pixels))
    joined = in_order(held.ranks, mine, len(positions))
    found = findings_of(held.model, joined, blank_image(held))
    return found and found | Findings(arrays=probe_batch(images.index, positions, epoch))


def findings_of(
    model: VisionTransformer, measured: Mapping[str, Array] | None, blank: Tensor
) -> Findings | None:
    """What all images together say of a model; every rank must ask, and those without get None.

    Args:
        model: as it was measured.
        measured: of all images in order; None on all ranks but the first.
        blank: a batch of one image.
    """
    scales = layer_scales(model)
    return None if measured is None else summarise(measured, Subject.of(model, blank)) | scales


def probe_batch(index: Index, positions: Positions, epoch: int) -> dict[str, Array]:
    """What was probed and when: two probes are of the same images if their hashes agree."""
    keys = index.key[positions]
    digest = hashlib.sha256(b"\n".join(bytes(key) for key in keys)).hexdigest()
    return {"probe/epoch": np.array(epoch), "images/keys": keys, "images/sha256": np.array(digest)}
