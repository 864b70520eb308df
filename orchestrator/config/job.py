"""JobConfig: the configuration of a job, of whatever task."""

from typing import Any

from orchestrator.config.evaluate import EvaluateConfig
from orchestrator.config.run import RunConfig

JobConfig = RunConfig | EvaluateConfig
"""All that decides a job's result, told apart by ``task``."""
TASKS: dict[str, type[RunConfig] | type[EvaluateConfig]] = {
    "train": RunConfig,
    "evaluate": EvaluateConfig,
}


def config_from_plain(plain: dict[str, Any]) -> JobConfig:
    """Check and build the configuration of a job; one that names no task trains.

    Raises:
        pydantic.ValidationError: with the location of every fault.
    """
    return TASKS.get(plain.get("task", "train"), RunConfig).from_plain(plain)
