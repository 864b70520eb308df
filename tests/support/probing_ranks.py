"""Ranks of a group that evaluate and probe a model together, each a process of its own."""

import pickle
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.distributed as dist

from model.probes.base import Array, Findings
from model.probes.weights import gradients_by_block
from orchestrator.config import Placement, RunConfig
from orchestrator.jobs.datasets import load_manifest
from orchestrator.worker import measure
from orchestrator.worker.data.helpers import Helpers
from orchestrator.worker.data.images import SplitImages
from orchestrator.worker.data.index import COLUMNS, load_index
from orchestrator.worker.data.loader import Portion
from orchestrator.worker.data.order import Piece
from orchestrator.worker.ranks import Ranks
from orchestrator.worker.trainer import Trainer

PROBE_BATCH = 4
IMAGES = 33
"""Of two ranks the first has 17, in five passes, the second 16, in four."""


@dataclass(frozen=True)
class Probing:
    """What a rank is to probe, and where it puts what it found."""

    config: RunConfig
    data_root: Path
    folder: Path
    build: Callable[[RunConfig, Ranks], Trainer]


def distributed(config: RunConfig, ranks: Ranks) -> Trainer:
    """As the worker has it: alone, or averaging gradients over the ranks."""
    return Trainer.fresh(config, ranks, Placement())


def sharded(config: RunConfig, ranks: Ranks) -> Trainer:
    """As the worker has it where every rank holds a part of each parameter."""
    return Trainer.fresh(config, ranks, Placement(parallel="fsdp2"))


def probe_as_rank(rank: int, world: int, probing: Probing) -> None:
    """Probe, on a group of ``world`` ranks; the first stores its findings."""
    torch.set_num_threads(1)
    if world > 1:
        store = dist.FileStore(str(probing.folder / "store"), world)
        dist.init_process_group("gloo", store=store, rank=rank, world_size=world)
    ranks = Ranks(rank, world, torch.device("cpu"))
    try:
        found = _probed(probing, ranks)
    finally:
        if world > 1:
            dist.destroy_process_group()
    (probing.folder / f"{rank}.pickle").write_bytes(pickle.dumps(found))


def _probed(probing: Probing, ranks: Ranks) -> tuple[Findings | None, Array, measure.Evaluation]:
    measure.PROBE_BATCH = PROBE_BATCH
    manifest = load_manifest(probing.data_root, probing.config.data.name)
    trainer = probing.build(probing.config, ranks)
    trainer.model.eval()
    index = load_index(probing.data_root, manifest, "val")
    with closing(SplitImages(index)) as images:
        found = measure.probe(trainer, images, Helpers(), 3)
    few = replace(index, **{name: getattr(index, name)[:IMAGES] for name in COLUMNS})
    with closing(SplitImages(few)) as images:
        evaluation = measure.evaluate(trainer, images, Helpers(), PROBE_BATCH)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (2, 1, 8, 8), generator=generator, dtype=torch.uint8)
    labels = torch.zeros(2, dtype=torch.int64)
    trainer.backward(Portion(0, 0, images, labels, (Piece(0, 2),), 2 * ranks.world, stand_in=False))
    return found, gradients_by_block(trainer.model).arrays["gradients/by_block"], evaluation
