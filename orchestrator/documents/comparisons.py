"""Document on two jobs beside each other."""

from collections.abc import Sequence
from typing import Any

from typing_extensions import TypedDict

from orchestrator.documents.declared import Document, NamedJob, Number, told


@told
class Difference(TypedDict):
    """In what two jobs differ."""

    aspect: str
    what: str
    one: Any
    """Null: it lacks it. A list, oldest first, where its attempts were made with several."""
    other: Any


@told
class CurvePair(TypedDict):
    """One metric of two jobs: their last values, and where they part."""

    metric: str
    one: Number | None
    other: Number | None
    parts_at: int | None
    """The first step at which both measured it and differ."""
    gap: Number | None
    """The largest difference, the second less the first."""
    gap_at: int | None
    """Its step."""
    common: int
    """At so many steps both measured it."""


@told
class Answers(TypedDict):
    """What two jobs said of the same images."""

    images: int
    both: int
    """Images that both have right."""
    one: int
    """That the first alone has right."""
    other: int
    p: Number | None
    """McNemar's; null where not both are surely of the end of a run that finished, of a child's
    parent, too."""


@told
class ComparedJob(NamedJob):
    """One of two jobs."""

    ending: str | None
    """finished or diverged; null: it is not over."""
    epoch: int
    """So many are complete."""
    predicted: int | None
    """After how many it made its last predictions; null: it kept none, or that is not known."""
    faults: Sequence[str]
    """What of it is gone or damaged."""


@told
class CompareDocument(Document):
    """In what two jobs differ, and in what they measured."""

    one: ComparedJob
    other: ComparedJob
    differs: Sequence[Difference]
    curves: Sequence[CurvePair]
    answers: Answers | None
    """Null where they did not predict the same images of one content of one dataset."""
