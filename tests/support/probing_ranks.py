"""Ranks of a group that probe a model together, each a process of its own."""

import pickle
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.fsdp import fully_shard

from model.probes.base import Array, Findings
from model.probes.weights import gradients_by_block
from model.vit import build_vit
from orchestrator.config import RunConfig
from orchestrator.jobs.datasets import load_manifest
from orchestrator.worker import measure
from orchestrator.worker.data.images import SplitImages
from orchestrator.worker.data.index import load_index
from orchestrator.worker.data.loader import Helpers
from orchestrator.worker.optim import build_optimizer
from orchestrator.worker.ranks import Ranks
from orchestrator.worker.trainer import Trainer

PROBE_BATCH = 4


@dataclass(frozen=True)
class Probing:
    """What a rank is to probe, and where it puts what it found."""

    config: RunConfig
    data_root: Path
    folder: Path
    build: Callable[[RunConfig, Ranks], Trainer]


def distributed(config: RunConfig, ranks: Ranks) -> Trainer:
    """As the worker has it: alone, or averaging gradients over the ranks."""
    return Trainer.fresh(config, ranks, None)


def sharded(config: RunConfig, ranks: Ranks) -> Trainer:
    """Every rank holds a part of each parameter."""
    model = build_vit(config.model, config.seed)
    for block in model.blocks:
        fully_shard(block)
    fully_shard(model)
    return Trainer(config, model, model, build_optimizer(model, config.optim), ranks, None)


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


def _probed(probing: Probing, ranks: Ranks) -> tuple[Findings | None, Array]:
    measure.PROBE_BATCH = PROBE_BATCH
    manifest = load_manifest(probing.data_root, probing.config.data.name)
    trainer = probing.build(probing.config, ranks)
    trainer.model.eval()
    with closing(SplitImages(load_index(probing.data_root, manifest, "val"))) as images:
        found = measure.probe(trainer, images, Helpers(), 3)
    generator = torch.Generator().manual_seed(0)
    trainer.net(torch.randn(2, 1, 8, 8, generator=generator)).square().sum().backward()
    return found, gradients_by_block(trainer.model).arrays["gradients/by_block"]
