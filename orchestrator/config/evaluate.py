"""EvaluateConfig: what decides the result of a job that evaluates what another one trained."""

from typing import Annotated, Literal

from pydantic import Field, PlainValidator

from orchestrator.config.data import DATASET_NAME
from orchestrator.config.section import Section

JOB_ID = r"^[0-9a-f]{32}$"

Checkpoint = Literal["last", "best"] | int
"""Weights of a trained job: after its last step, of its best epoch, or after this epoch."""


_Written = Literal["last", "best"] | Annotated[int, Field(ge=1)]


def _known(value: object) -> object:
    """One fault instead of one for each type that it might be of."""
    if value in ("last", "best") or (type(value) is int and value >= 1):
        return value
    raise ValueError(f"it is {value!r}; it must be last, best, or an epoch from 1 on")


class EvaluationSet(Section):
    """The images to evaluate on: the validation split of a dataset."""

    name: str = Field(pattern=DATASET_NAME)
    """Folder of the dataset under the data root."""


class EvaluateConfig(Section):
    """One point of a sweep of evaluations; all else is as its parent has it."""

    task: Literal["evaluate"] = "evaluate"
    of: str = Field(pattern=JOB_ID)
    """Id of the job that trained the weights, its parent."""
    checkpoint: Annotated[Checkpoint, PlainValidator(_known, json_schema_input_type=_Written)] = (
        "last"
    )
    """Which of the parent's weights: last, best, or an epoch that was kept."""
    data: EvaluationSet
