"""Where and how a job runs without changing its result: never part of a job's identity."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from orchestrator.config.section import Section
from orchestrator.config.train import TrainConfig


class Placement(Section):
    """Ranks, threads, portions and habits of one run of a job."""

    ranks: int = Field(default=1, ge=1)
    """Processes of a job."""
    parallel: Literal["ddp", "fsdp2"] = "ddp"
    """How more than one hold the model: all of it each, or a part of every parameter, which takes
    less memory and more time."""
    micro_batch: int | None = Field(default=None, ge=1)
    """Images per forward pass and rank; null takes the rank's whole share of a step."""
    loader_workers: int = Field(default=0, ge=0)
    """Processes per rank that read and decode; 0 reads in the rank itself."""
    threads_per_rank: int = Field(default=1, ge=1)
    """Threads of each rank's arithmetic."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes a GPU where there is one."""
    compile: bool = False
    """Compile what leads from images to their loss as one graph for each size of portion; under
    fsdp2 each block by itself."""
    activation_checkpointing: bool = False
    """Compute each block's activations again in the backward pass, rather than keep them."""
    deterministic: bool = False
    """Use such algorithms of a GPU alone, slower ones, that a resumed run is the same bit by bit;
    on a CPU it is anyway."""
    peak_tflops: float | None = Field(default=None, gt=0)
    """What one rank's device could do, in 10^12 floating-point operations per second, against which
    ``train/mfu`` is told; null: what is known of its kind, for bf16 without sparsity."""
    checkpoint_minutes: float = Field(default=5, ge=0)
    """Time between checkpoints; 0 writes one after every step."""
    log_every_steps: int = Field(default=20, ge=1)
    """Steps between two training points of the journal."""
    keep_epochs: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Epochs after which the model's weights are kept for good, beside those of the last step."""
    cache: Literal["disk", "ram"] = "disk"
    """Where the images of ``data.decoded_px`` lie: in ``cache_dir``, or in memory (/dev/shm)."""
    cache_dir: str | None = Field(default=None, min_length=1)
    """A folder on each node's own disk, from / on; null: $TMPDIR, else /tmp."""

    @model_validator(mode="after")
    def _lies_in_one_place(self) -> Self:
        if self.cache == "ram" and self.cache_dir is not None:
            raise ValueError(
                f"cache_dir is {self.cache_dir}, but cache is ram, which is /dev/shm; "
                "use cache: disk, or leave cache_dir out"
            )
        if self.cache_dir is not None and not self.cache_dir.startswith("/"):
            raise ValueError(
                f"cache_dir is {self.cache_dir}, which depends on where a job is started, and "
                "neither ~ nor $TMPDIR is put in; use a path that begins with /, or null"
            )
        return self


def refuse_placement(placement: Placement, train: TrainConfig) -> str | None:
    """Why a job with these portions cannot run under this placement, or None."""
    if placement.ranks > train.chunks:
        return (
            f"placement.ranks is {placement.ranks}, but a step of {train.batch_size} images has "
            f"only {train.chunks} chunk(s) of {train.chunk_size}, and a rank takes whole chunks; "
            f"use at most {train.chunks} rank(s), or a train.chunk of at most "
            f"{max(1, train.batch_size // placement.ranks)}"
        )
    if placement.parallel == "fsdp2" and placement.ranks == 1:
        return (
            "placement.parallel is fsdp2, but placement.ranks is 1, so no rank is there to share "
            "the model with; use at least 2 ranks, or parallel: ddp"
        )
    beyond = [epoch for epoch in placement.keep_epochs if epoch > train.epochs]
    if beyond:
        return (
            f"placement.keep_epochs has {', '.join(map(str, beyond))}, but a job of train.epochs "
            f"{train.epochs} has only epochs 1 to {train.epochs}; use these"
        )
    return None
