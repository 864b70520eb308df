"""A job whose images are on the device already: what a step costs without data."""

from dataclasses import replace
from typing import Any

import torch

from model.config import ViTConfig
from orchestrator.config import Placement, RunConfig
from orchestrator.worker.data.loader import Portion
from orchestrator.worker.data.order import share_of_step, step_window
from orchestrator.worker.ranks import Ranks
from orchestrator.worker.trainer import Trainer

SMALL = ViTConfig(img_size=64, patch_size=8, dim=192, depth=4, heads=3)
"""65 tokens; its place is on a CPU."""
VIT_S = ViTConfig()
RATE = 1e-3


def alone() -> Ranks:
    """One rank, on a GPU if there is one."""
    return Ranks(
        0, 1, torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    )


def recipe(model: ViTConfig, batch: int, **optim: Any) -> RunConfig:
    """DeiT III's: binary cross-entropy, mixup and CutMix, clipping at 1; bf16 on a GPU."""
    precision = "bf16" if torch.cuda.is_available() else "fp32"
    train = {"mixup": 0.8, "cutmix": 1.0, "loss": "bce", "precision": precision, "epochs": 10}
    return RunConfig.from_plain(
        {
            "data": {"name": "resident", "normalisation": "imagenet"},
            "model": {key: getattr(model, key) for key in ViTConfig.__dataclass_fields__},
            "optim": {"lr": RATE, "weight_decay": 0.05, **optim},
            "train": train | {"batch_size": batch},
        }
    )


def resident(config: RunConfig, ranks: Ranks) -> Portion:
    """A whole step of images, noise, in chunks as training has them."""
    model, train = config.model, config.train
    generator = torch.Generator().manual_seed(0)
    shape = (train.batch_size, model.in_chans, model.img_size, model.img_size)
    images = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, model.num_classes, shape[:1], generator=generator)
    order = torch.arange(train.batch_size).numpy()
    share = share_of_step(step_window(order, 0, len(order)), chunks=train.chunks, rank=0, world=1)
    where = ranks.device
    return Portion(
        0, 0, images.to(where), labels.to(where), share.pieces, share.total, stand_in=False
    )


def take_steps(trainer: Trainer, portion: Portion, count: int, *, read_every: int = 10) -> None:
    """As the training loop does, which reads what steps told after every ten."""
    for _ in range(count):
        trainer.take(replace(portion, step=trainer.step), RATE)
        if trainer.step % read_every == 0:
            trainer.read()


def fresh(config: RunConfig, **placement: Any) -> Trainer:
    return Trainer.fresh(config, alone(), Placement(**placement))
