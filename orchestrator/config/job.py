"""JobConfig: the configuration of a job, of whatever task."""

from collections.abc import Mapping
from typing import Any

from orchestrator.config.analyze import AnalyzeConfig
from orchestrator.config.evaluate import EvaluateConfig
from orchestrator.config.run import RunConfig

JobConfig = RunConfig | EvaluateConfig | AnalyzeConfig
"""All that decides a job's result, told apart by ``task``."""
CHILDREN: Mapping[str, type[EvaluateConfig] | type[AnalyzeConfig]] = {
    "evaluate": EvaluateConfig,
    "analyze": AnalyzeConfig,
}
"""The tasks of jobs that look at what others have trained."""
TASKS: Mapping[str, type[RunConfig] | type[EvaluateConfig] | type[AnalyzeConfig]] = {
    "train": RunConfig,
    **CHILDREN,
}


def config_from_plain(plain: dict[str, Any]) -> JobConfig:
    """Check and build the configuration of a job; one that names no task trains.

    Raises:
        pydantic.ValidationError: with the location of every fault.
    """
    return TASKS.get(plain.get("task", "train"), RunConfig).from_plain(plain)
