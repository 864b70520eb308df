"""Ranks of a group that train a model together for some steps, each a process of its own."""

import sys
from contextlib import closing
from pathlib import Path

import torch
import torch.distributed as dist

from orchestrator.config import Placement, RunConfig
from orchestrator.jobs.datasets import load_manifest
from orchestrator.worker.data.images import SplitImages
from orchestrator.worker.data.index import load_index
from orchestrator.worker.data.loader import Feed, training_portions
from orchestrator.worker.data.order import steps_per_epoch
from orchestrator.worker.optim import learning_rate
from orchestrator.worker.ranks import Ranks
from orchestrator.worker.trainer import Trainer


def train_as_rank(rank: int, world: int, steps: range, data: Path, folder: Path) -> None:
    """Train these steps, from the state in ``folder`` if there is one; rank 0 leaves its own there.

    ``folder`` holds configuration and placement; ``losses.txt`` gets the mean loss of every step.
    """
    torch.set_num_threads(1)
    config = RunConfig.model_validate_json((folder / "config.json").read_text())
    placement = Placement.model_validate_json((folder / "placement.json").read_text())
    if world > 1:
        store = dist.FileStore(str(folder / f"store-{steps.start}"), world)
        dist.init_process_group("gloo", store=store, rank=rank, world_size=world)
    trainer = Trainer.fresh(config, Ranks(rank, world, torch.device("cpu")), placement)
    if (folder / "state.pt").exists():
        trainer.resume(torch.load(folder / "state.pt", weights_only=True))
    losses, state = train(trainer, steps, data), trainer.state()
    if world > 1:
        dist.barrier()  # no rank may still have to read the state that is now replaced
        dist.destroy_process_group()
    if rank == 0:
        torch.save(state, folder / "state.pt")
        with (folder / "losses.txt").open("a") as file:
            file.writelines(f"{loss!r}\n" for loss in losses)


def train(trainer: Trainer, steps: range, data: Path) -> list[float]:
    config, ranks, losses = trainer.config, trainer.ranks, []
    index = load_index(data, load_manifest(data, config.data.name), "train")
    per_epoch = steps_per_epoch(len(index), config.train)
    feed = Feed.of(config, rank=ranks.rank, world=ranks.world)
    with closing(SplitImages(index)) as images:
        for portion in training_portions(images, feed, steps):
            rate = learning_rate(
                portion.step,
                steps=per_epoch * config.train.epochs,
                steps_per_epoch=per_epoch,
                config=config.optim,
            )
            trainer.take(portion, rate)
            trainer.read()
            losses.append(trainer.course.end_window()["train/loss"])
    return losses


if __name__ == "__main__":
    rank, world, first, after = map(int, sys.argv[1:5])
    train_as_rank(rank, world, range(first, after), Path(sys.argv[5]), Path(sys.argv[6]))
