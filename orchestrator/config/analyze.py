"""AnalyzeConfig: what decides the result of a job that looks inside a trained model."""

from typing import Literal, Self

from pydantic import Field, model_validator

from orchestrator.config.child import JOB_ID, TIMM, ChildConfig
from orchestrator.config.section import Section

TIMM_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
"""What timm calls its models, with the tag of their weights."""


class AnalysisConfig(Section):
    """What is done with the model."""

    name: Literal["probes"] = "probes"
    """probes: all of them, on a fixed list of images, with their pictures."""
    images: int | None = Field(default=None, ge=1)
    """How many images are looked at, chosen by the rule of ``probe.images``; null: as many as the
    parent's probes, and 1000 of a model of timm's."""


class AnalyzeConfig(ChildConfig):
    """One point of a sweep of analyses."""

    task: Literal["analyze"] = "analyze"
    of: str = Field(pattern=rf"{JOB_ID}|^{TIMM}{TIMM_NAME}$")
    """Id of the job that trained the weights, its parent; or timm:NAME."""
    analysis: AnalysisConfig = Field(default_factory=AnalysisConfig)

    @model_validator(mode="after")
    def _has_such_weights(self) -> Self:
        if self.parent is None and self.checkpoint != "last":
            raise ValueError(
                f"checkpoint is {self.checkpoint}, but {self.of} has its last weights alone"
            )
        return self

    @property
    def timm(self) -> str:
        """What timm calls the model; empty of a job's."""
        return "" if self.parent else self.of.removeprefix(TIMM)
