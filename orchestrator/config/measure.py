"""When a model is evaluated and probed, and on how many images."""

from pydantic import Field

from orchestrator.config.section import Section


class EvaluationConfig(Section):
    """Accuracy and loss on the whole validation split."""

    every_epochs: int = Field(default=1, ge=1)
    """Cadence; the last epoch is always evaluated."""


class ProbeConfig(Section):
    """Norms, attention and gates on a fixed batch of validation images."""

    every_epochs: int = Field(default=10, ge=1)
    """Cadence; the last epoch is always probed."""
    images: int = Field(default=1000, ge=1)
    """Size of the probe batch: equally many per class, the smallest sha256 of the key."""
