"""How long and in what portions a model is trained."""

from typing import Literal, Self

from pydantic import Field, model_validator

from orchestrator.config.section import Section

LARGEST_DEFAULT_CHUNK = 256


class TrainConfig(Section):
    """Epochs, batches and chunks.

    A step takes ``batch_size`` images; chunk c of a step takes every ``chunks``-th of them,
    starting at c. Ranks take whole chunks and every random draw is made per image or per chunk,
    so the number of ranks changes nothing but the order of sums.
    """

    epochs: int = Field(default=100, ge=1)
    batch_size: int = Field(default=256, ge=1)
    """Images of one optimiser step, over all ranks."""
    chunk: int | None = Field(default=None, ge=1)
    """Images of one chunk; null: the smaller of 256 and the batch. Divides ``batch_size``."""
    tail: Literal["keep", "drop"] = "keep"
    """The last, shorter step of an epoch: taken, or left out."""
    data_seed: int | None = Field(default=None, ge=0)
    """Seed of order, augmentation and drop path; null follows ``seed``."""
    loss: Literal["ce", "bce"] = "ce"
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    precision: Literal["fp32", "bf16"] = "fp32"

    @model_validator(mode="after")
    def _portions_fit(self) -> Self:
        if self.batch_size % self.chunk_size:
            raise ValueError(
                f"train.batch_size {self.batch_size} is not a multiple of "
                f"train.chunk {self.chunk_size}"
            )
        if self.loss == "bce" and self.label_smoothing:
            raise ValueError(
                f"train.label_smoothing {self.label_smoothing} with train.loss bce would make "
                "every class a positive one; use label_smoothing 0, or loss ce"
            )
        return self

    @property
    def chunk_size(self) -> int:
        """Images per chunk, with the default resolved."""
        return self.chunk or min(LARGEST_DEFAULT_CHUNK, self.batch_size)

    @property
    def chunks(self) -> int:
        """Chunks per full step: the largest number of ranks a job can use."""
        return self.batch_size // self.chunk_size
