"""Looking at a model between epochs: accuracy on the validation split, probes on a fixed batch."""

import io

import numpy as np
import torch
import torch.nn.functional as F

from model.probes.base import Array, Findings
from model.probes.suite import measure, summarise
from orchestrator.worker.data.images import SplitImages
from orchestrator.worker.data.index import probe_positions
from orchestrator.worker.data.loader import Helpers, evaluation_batches, rank_portions
from orchestrator.worker.pixels import normalised
from orchestrator.worker.trainer import Trainer

LARGEST_BATCH = 256
PROBE_BATCH = 32
"""Attention weights of every block are held for this many images at once."""


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
        logits = trainer.model(normalised(batch.images.to(ranks.device))).float()
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


def probe(trainer: Trainer, images: SplitImages, helpers: Helpers) -> Findings | None:
    """What the probes find on the fixed probe batch, in float32; None on all ranks but the first.

    Every rank measures its share of the images; the first puts them back in order.
    """
    config, ranks = trainer.config, trainer.ranks
    positions = probe_positions(images.index, config.probe.images)
    portions = rank_portions(positions, batch_size=PROBE_BATCH, rank=ranks.rank, world=ranks.world)
    measured = [
        measure(trainer.model, normalised(batch.images.to(ranks.device)))
        for batch in evaluation_batches(images, portions, config.model.img_size, helpers)
    ]
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
    return summarise(joined)


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
