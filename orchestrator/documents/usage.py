"""The document on what jobs took of what they asked for."""

from collections.abc import Sequence
from typing import Any

from typing_extensions import TypedDict

from orchestrator.documents.declared import Document, told


@told
class Taken(TypedDict):
    """Of one thing."""

    n: int
    """Attempts that tell."""
    median: float
    most: float
    asked: float | None
    """The largest; null where nothing was asked for."""


@told
class UsageFigures(TypedDict):
    """What attempts took; null where none of them tells."""

    jobs: int
    done: int
    starts: int
    limits_reached: int
    """Starts that their time limit ended."""
    time_s: Taken | None
    """Of jobs that are done, in all their attempts."""
    memory_gb: Taken | None
    """Of a node."""
    gpu_memory_gb: Taken | None
    gpu_busy: Taken | None
    """Share of time."""
    cpus: Taken | None
    """Of a job."""
    waiting: Taken | None
    """For data; share of the time of epochs."""
    hours: float
    hours_lost: float
    """Of what came to nothing."""
    gpu_hours: float
    gpu_hours_lost: float
    gpu_hours_idle: float | None
    """Null where no counter told."""


@told
class UsageAsked(TypedDict):
    """What a start asks for, and what more its place would give."""

    place: str
    cluster: bool
    nodes: int
    ranks: int
    gpus: float
    cpus: int
    memory_gb: float | None
    time_s: int | None
    cpus_key: str
    jobs_per_allocation: int
    jobs_per_gpu: int
    stop_s: int
    most_memory_gb: float | None
    most_time_s: int | None
    asks_memory: bool


@told
class UsageSuggestion(TypedDict):
    """A line of a sweep's ``resources``."""

    key: str
    value: str | int
    because: str
    saves: float
    """What it would have saved, of ``unit``."""
    unit: str


@told
class UsageShape(UsageFigures):
    """Jobs that ask for the same."""

    asked: UsageAsked
    suggested: Sequence[UsageSuggestion]
    missing: Sequence[str]
    """Why nothing is suggested of what."""


@told
class UsageAxis(UsageFigures):
    """Jobs that have one value on one axis."""

    axis: str
    value: Any


@told
class UsageDocument(Document):
    """What jobs took of what they asked for, and limits that would have sufficed."""

    sweep: str | None
    """Null where the jobs were not asked for by a sweep's name."""
    total: UsageFigures
    shapes: Sequence[UsageShape]
    axes: Sequence[UsageAxis]
    untold: int
    """Starts of which not every rank told what it took."""
