"""Early stopping, as a sweep may ask for it: jobs that do badly are not trained to their end."""

from typing import Literal

from pydantic import Field

from orchestrator.config.section import Section

Metric = Literal["val/top1", "val/top5", "val/loss", "stability/epoch_loss"]


class Asha(Section):
    """Asynchronous successive halving: after so many epochs the best of those that came so far."""

    metric: Metric
    """By which jobs are judged; a table knows whether high or low is better."""
    grace: int = Field(ge=1)
    """Epochs after which a job is judged first."""
    reduction: int = Field(ge=2)
    """One of so many jobs goes on, and each further rung is so many times as many epochs away."""


class Search(Section):
    """How jobs of a sweep are stopped early."""

    asha: Asha
