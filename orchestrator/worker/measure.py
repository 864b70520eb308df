"""Looking at a model between epochs: accuracy on the validation split, probes on a fixed batch."""

import hashlib
import io
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from model.probes.base import Array, Findings, Subject
from model.probes.suite import measure, summarise
from model.probes.weights import layer_scales
from orchestrator.worker.data.images import SplitImages
from orchestrator.worker.data.index import Index, probe_positions
from orchestrator.worker.data.loader import Helpers, evaluation_batches, rank_portions
from orchestrator.worker.data.order import Positions
from orchestrator.worker.pixels import normalised
from orchestrator.worker.trainer import Trainer

LARGEST_BATCH = 256
PROBE_BATCH = 32
"""Attention weights of one block are held for this many images at once."""


@torch.no_grad()
def evaluate(
    trainer: Trainer,
    images: SplitImages,
    helpers: Helpers,
    batch_size: int | None = None,
) -> dict[str, float]:
    """``val/loss`` (cross-entropy, nats), ``val/top1`` and ``val/top5`` (percent).

    Every image counts once, however uneven the ranks' shares; with fewer than five classes top5
    is over all of them.
    """
    config, ranks = trainer.config, trainer.ranks
    portions = rank_portions(
        np.arange(len(images)),
        batch_size=batch_size or LARGEST_BATCH,
        rank=ranks.rank,
        world=ranks.world,
    )
    totals = torch.zeros(3, dtype=torch.float64, device=ranks.device)
    for batch in evaluation_batches(images, portions, config.model.img_size, helpers):
        labels = batch.labels.to(ranks.device)
        pixels = normalised(batch.images.to(ranks.device), config.data.normalisation)
        logits = trainer.model(pixels).float()
        best = logits.topk(min(5, config.model.num_classes)).indices == labels[:, None]
        totals += torch.stack(
            [
                F.cross_entropy(logits, labels, reduction="sum").double(),
                best[:, 0].sum().double(),
                best.any(dim=1).sum().double(),
            ]
        )
    loss, top1, top5 = (ranks.sum(totals) / len(images)).tolist()
    return {"val/loss": loss, "val/top1": 100 * top1, "val/top5": 100 * top5}


def probe(trainer: Trainer, images: SplitImages, helpers: Helpers, epoch: int) -> Findings | None:
    """What the probes find on the fixed probe batch; None on all ranks but the first.

    Raw weights in float32; every rank measures its share of the images, and the first puts them
    back in order. All ranks take as many passes, since those of a sharded model are collective.
    """
    config, ranks = trainer.config, trainer.ranks
    positions = probe_positions(images.index, config.probe.images)
    portions = rank_portions(positions, batch_size=PROBE_BATCH, rank=ranks.rank, world=ranks.world)
    measured = [
        measure(trainer.model, normalised(batch.images.to(ranks.device), config.data.normalisation))
        for batch in evaluation_batches(images, portions, config.model.img_size, helpers)
    ]
    blank = blank_images(trainer)
    for _ in range(math.ceil(len(positions) / ranks.world / PROBE_BATCH) - len(portions)):
        measure(trainer.model, blank)
    scales = layer_scales(trainer.model)
    names = measured[0] if measured else {}
    mine = {name: torch.cat([part[name] for part in measured]).numpy() for name in names}
    gathered = ranks.gather(mine)
    if gathered is None:
        return None
    shares = [share for share in gathered if share]
    joined = {
        name: _interleaved([share[name] for share in shares], len(positions), ranks.world)
        for name in shares[0]
    }
    found = summarise(joined, Subject.of(trainer.model, blank)) | scales
    return found | Findings(arrays=probe_batch(images.index, positions, epoch))


def blank_images(trainer: Trainer) -> Tensor:
    """A batch of one black image, as the model takes it."""
    model = trainer.config.model
    size = (1, model.in_chans, model.img_size, model.img_size)
    return torch.zeros(size, device=trainer.ranks.device)


def probe_batch(index: Index, positions: Positions, epoch: int) -> dict[str, Array]:
    """What was probed and when: two probes are of the same images if their hashes agree."""
    keys = index.key[positions]
    digest = hashlib.sha256(b"\n".join(bytes(key) for key in keys)).hexdigest()
    return {"probe/epoch": np.array(epoch), "images/keys": keys, "images/sha256": np.array(digest)}


def packed(arrays: dict[str, Array]) -> bytes:
    """Arrays as one compressed npz."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _interleaved(shares: list[Array], total: int, world: int) -> Array:
    joined = np.empty((total, *shares[0].shape[1:]), dtype=shares[0].dtype)
    for rank, share in enumerate(shares):
        joined[rank::world] = share
    return joined
