"""What every document shares: how its keys are told, and the types that several have."""

from collections.abc import Mapping
from typing import Literal, TypeVar

from typing_extensions import TypedDict  # that of Python 3.11 is not known to pydantic

from orchestrator.jobs.state import State

Declared = TypeVar("Declared")
Number = float | Literal["nan", "inf", "-inf"]
"""JSON has no number that is not finite."""
Counts = Mapping[State, int]
"""Jobs by state; states that no job is in are left out."""


def told(kind: type[Declared]) -> type[Declared]:
    """Let the schema of a ``TypedDict`` tell each key by the text that stands below it."""
    kind.__pydantic_config__ = {"use_attribute_docstrings": True}  # type: ignore[attr-defined]
    return kind


class Document(TypedDict):
    """Its version is raised when a key goes, or changes its meaning; a key may come at any time."""

    schema: Literal[1]


@told
class NamedJob(TypedDict):
    """A job."""

    id: str
    name: str
    """In its sweep."""
