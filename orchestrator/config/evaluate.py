"""EvaluateConfig: what decides the result of a job that evaluates what another one trained."""

from typing import Literal

from orchestrator.config.child import ChildConfig


class EvaluateConfig(ChildConfig):
    """One point of a sweep of evaluations."""

    task: Literal["evaluate"] = "evaluate"
