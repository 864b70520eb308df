"""The optimiser and its learning-rate schedule."""

from typing import Literal

from pydantic import Field

from orchestrator.config.section import Section


class OptimConfig(Section):
    """AdamW under a linear warm-up and a cosine decay, both stepped every optimiser step."""

    name: Literal["adamw"] = "adamw"
    lr: float = Field(default=1e-3, gt=0)
    """Peak learning rate, reached at the end of the warm-up."""
    weight_decay: float = Field(default=0.05, ge=0)
    """Decay of matrices; vectors, class token, registers and position embedding have none."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    eps: float = Field(default=1e-8, gt=0)
    warmup_epochs: float = Field(default=5, ge=0)
    warmup_lr: float = Field(default=1e-6, ge=0)
    """Learning rate of the first step."""
    min_lr: float = Field(default=1e-5, ge=0)
    """Learning rate at the end of the cosine."""
    clip_norm: float | None = Field(default=1.0, gt=0)
    """Largest L2 norm of the global gradient; null does not clip."""
