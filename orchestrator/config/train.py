"""How long and in what portions a model is trained."""

from typing import Literal, Self

from pydantic import Field, model_validator

from orchestrator.config.section import Section

LARGEST_DEFAULT_CHUNK = 256
SWITCH_PROB = 0.5


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
    repeats: int = Field(default=1, ge=1)
    """Views of an image in one epoch, which then has a ``repeats``-th of the images (Hoffer et al.,
    arXiv 1901.09335); an epoch keeps its length, rounded down to a multiple of 256."""
    data_seed: int | None = Field(default=None, ge=0)
    """Seed of order, augmentation, mixing and drop path; null follows ``seed``."""
    mixup: float = Field(default=0.0, ge=0, le=2)
    """Blend the images of a chunk in pairs, by a share from Beta(mixup, mixup); 0: never."""
    cutmix: float = Field(default=0.0, ge=0, le=2)
    """Paste into each image of a chunk a box of another, which leaves it a share of its area from
    Beta(cutmix, cutmix); 0: never."""
    switch_prob: float = Field(default=SWITCH_PROB, gt=0, lt=1)
    """Where both are on: the share of chunks that ``cutmix`` mixes; the others ``mixup``."""
    loss: Literal["ce", "bce"] = "ce"
    """``bce`` takes every class that has a part in a mixed image as present."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    precision: Literal["fp32", "bf16"] = "fp32"
    ema_decay: float | None = Field(default=None, gt=0, lt=1)
    """Keep an exponential moving average of the weights beside them, in checkpoints alone: what is
    evaluated, probed and kept are the weights themselves. Null: none."""

    @model_validator(mode="after")
    def _portions_fit(self) -> Self:
        if self.batch_size % self.chunk_size:
            raise ValueError(
                f"train.batch_size {self.batch_size} is not a multiple of "
                f"train.chunk {self.chunk_size}"
            )
        if 1 < self.repeats > self.chunks:
            raise ValueError(
                f"train.repeats {self.repeats} needs as many chunks, so that no chunk holds an "
                f"image twice; train.batch_size {self.batch_size} has {self.chunks} of train.chunk "
                f"{self.chunk_size}. Use repeats of at most {self.chunks}, or a smaller chunk"
            )
        return self

    @model_validator(mode="after")
    def _mixing_makes_sense(self) -> Self:
        if (self.mixup or self.cutmix) and self.chunk_size < 2:
            raise ValueError(
                "train.mixup and train.cutmix mix the images of a chunk, and train.chunk is 1; "
                "use a chunk of at least 2"
            )
        if self.switch_prob != SWITCH_PROB and not (self.mixup and self.cutmix):
            raise ValueError(
                f"train.switch_prob {self.switch_prob} chooses between train.mixup and "
                f"train.cutmix, which are {self.mixup} and {self.cutmix}; set both above 0, or "
                f"leave switch_prob at {SWITCH_PROB}"
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
