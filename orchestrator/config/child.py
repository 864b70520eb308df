"""ChildConfig: what jobs have in common that train nothing and look at weights."""

from typing import Annotated, Literal

from pydantic import Field, PlainValidator

from orchestrator.config.data import DATASET_NAME
from orchestrator.config.section import Section

JOB_ID = r"^[0-9a-f]{32}$"
TIMM = "timm:"
"""Before the name of a model of timm's, where a job's id may stand as well."""

Checkpoint = Literal["last", "best"] | int
"""Weights of a trained job: after its last step, of its best epoch, or after this epoch."""


_Written = Literal["last", "best"] | Annotated[int, Field(ge=1)]


def _known(value: object) -> object:
    """One fault instead of one for each type that it might be of."""
    if value in ("last", "best") or (type(value) is int and value >= 1):
        return value
    raise ValueError(f"it is {value!r}; it must be last, best, or an epoch from 1 on")


def parent_of(of: str) -> str | None:
    """The job whose weights ``of`` means; None: they were trained elsewhere."""
    return None if of.startswith(TIMM) else of


class ImageSet(Section):
    """The images to look at: the validation split of a dataset."""

    name: str = Field(pattern=DATASET_NAME)
    """Folder of the dataset under the data root."""


class ChildConfig(Section):
    """What is looked at, and on which images; all else is as its parent has it."""

    of: str = Field(pattern=JOB_ID)
    """Id of the job that trained the weights, its parent."""
    data: ImageSet
    checkpoint: Annotated[Checkpoint, PlainValidator(_known, json_schema_input_type=_Written)] = (
        "last"
    )
    """Which of the parent's weights: last, best, or an epoch that was kept."""

    @property
    def parent(self) -> str | None:
        """The job whose weights it needs; None: they are of no job."""
        return parent_of(self.of)
