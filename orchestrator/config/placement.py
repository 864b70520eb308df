"""Where and how a job runs without changing its result: never part of a job's identity."""

from typing import Annotated, Literal

from pydantic import Field

from orchestrator.config.section import Section
from orchestrator.config.train import TrainConfig


class Placement(Section):
    """Ranks, threads, portions and habits of one run of a job."""

    ranks: int = Field(default=1, ge=1)
    """Processes of a job; more than one train under DDP."""
    micro_batch: int | None = Field(default=None, ge=1)
    """Images per forward pass and rank; null takes the rank's whole share of a step."""
    loader_workers: int = Field(default=0, ge=0)
    """Processes per rank that read and decode; 0 reads in the rank itself."""
    threads_per_rank: int = Field(default=1, ge=1)
    """Threads of each rank's arithmetic."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes a GPU where there is one."""
    checkpoint_minutes: float = Field(default=5, ge=0)
    """Time between checkpoints; 0 writes one after every step."""
    log_every_steps: int = Field(default=20, ge=1)
    """Steps between two training points of the journal."""
    keep_epochs: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Epochs after which the model's weights are kept for good, beside those of the last step."""


def refuse_placement(placement: Placement, train: TrainConfig) -> str | None:
    """Why a job with these portions cannot run under this placement, or None."""
    if placement.ranks > train.chunks:
        return (
            f"placement.ranks is {placement.ranks}, but a step of {train.batch_size} images has "
            f"only {train.chunks} chunk(s) of {train.chunk_size}, and a rank takes whole chunks; "
            f"use at most {train.chunks} rank(s), or a train.chunk of at most "
            f"{max(1, train.batch_size // placement.ranks)}"
        )
    beyond = [epoch for epoch in placement.keep_epochs if epoch > train.epochs]
    if beyond:
        return (
            f"placement.keep_epochs has {', '.join(map(str, beyond))}, but a job of train.epochs "
            f"{train.epochs} has only epochs 1 to {train.epochs}; use these"
        )
    return None
