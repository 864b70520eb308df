"""The optimiser and its learning-rate schedule."""

from typing import Literal, Self

from pydantic import Field, model_validator

from orchestrator.config.section import Section


class OptimConfig(Section):
    """AdamW or LAMB under a linear warm-up and a cosine decay."""

    name: Literal["adamw", "lamb"] = "adamw"
    """LAMB scales the step of each decayed parameter by its norm (You et al., arXiv 1904.00962)."""
    lr: float = Field(default=1e-3, gt=0)
    """Peak learning rate, reached at the end of the warm-up."""
    weight_decay: float = Field(default=0.05, ge=0)
    """Decay of matrices; vectors, class token, registers and position embedding have none."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    eps: float = Field(default=1e-8, gt=0)
    schedule: Literal["step", "epoch"] = "step"
    """``step``: the rate moves every optimiser step. ``epoch``: it stands still through an epoch,
    and the first two have the rate ``warmup_lr``, as in DeiT and timm."""
    warmup_epochs: float = Field(default=5, ge=0)
    warmup_lr: float = Field(default=1e-6, ge=0)
    """Learning rate of the first step."""
    min_lr: float = Field(default=1e-5, ge=0)
    """Learning rate at the end of the cosine."""
    clip_norm: float | None = Field(default=1.0, gt=0)
    """Largest L2 norm of the global gradient; null does not clip."""

    @model_validator(mode="after")
    def _lamb_has_what_it_scales(self) -> Self:
        if self.name == "lamb" and not self.weight_decay:
            raise ValueError(
                "optim.name lamb scales the steps of decayed parameters alone, so that at "
                "optim.weight_decay 0 it would be Adam; set a weight_decay above 0, or name adamw"
            )
        return self
