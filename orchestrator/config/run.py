"""RunConfig: everything that decides a job's result, and nothing else."""

from typing import Literal, Self

from pydantic import Field, model_validator

from model.config import ViTConfig
from orchestrator.config.data import DataConfig
from orchestrator.config.measure import EvaluationConfig, ProbeConfig
from orchestrator.config.optim import OptimConfig
from orchestrator.config.section import Section
from orchestrator.config.train import TrainConfig

RGB = 3


class RunConfig(Section):
    """One point of a sweep. Two equal RunConfigs are one job; see ``jobs.identity``."""

    task: Literal["train"] = "train"
    model: ViTConfig = Field(default_factory=ViTConfig)
    data: DataConfig
    optim: OptimConfig = Field(default_factory=OptimConfig)
    train: TrainConfig = Field(default_factory=TrainConfig)
    probe: ProbeConfig = Field(default_factory=ProbeConfig)
    evaluation: EvaluationConfig = Field(default_factory=EvaluationConfig)
    seed: int = Field(default=0, ge=0)
    """Seed of the initial weights, and of the data order unless ``train.data_seed`` is set."""

    @model_validator(mode="after")
    def _sections_fit(self) -> Self:
        if self.data.normalisation == "imagenet" and self.model.in_chans != RGB:
            raise ValueError(
                f"data.normalisation imagenet has means of {RGB} colours, but model.in_chans is "
                f"{self.model.in_chans}; use normalisation half, or in_chans {RGB}"
            )
        return self

    @property
    def data_seed(self) -> int:
        """Seed of order, augmentation, mixing and drop path, with the default resolved."""
        return self.seed if self.train.data_seed is None else self.train.data_seed
