"""Document on what probes found in a model."""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired

from typing_extensions import TypedDict

from orchestrator.documents.declared import Document, Number, told


@told
class ProbeWeights(TypedDict):
    """Which weights."""

    source: str
    sha256: str
    """Over name, type, shape and bytes of every tensor, in the order of names."""


@told
class ProbeModel(TypedDict):
    """The model that was looked into."""

    architecture: Any
    parameters: int
    """That are trained."""
    frozen_parameters: int
    weights: ProbeWeights
    job: NotRequired[str]
    """The id, where it is of a job."""
    name: NotRequired[str]
    step: NotRequired[int]
    epoch: NotRequired[int]
    package: NotRequired[str]
    """Of a user's own variant."""
    package_from: NotRequired[str]
    """The snapshot that trained it, or if that is gone the folder that its sweep lists."""


@told
class ProbeImages(TypedDict):
    """What it was shown."""

    source: str
    count: int
    keys_sha256: str
    """Of the keys, a line each; a job's probes of the same images have the same."""


@told
class ProbeConditions(TypedDict):
    """Where."""

    device: str
    precision: str
    batch: int


@told
class ProbeDocument(Document):
    """What the probes found; but for ``out`` also the report's ``findings.json``."""

    name: str
    model: ProbeModel
    images: ProbeImages
    conditions: ProbeConditions
    versions: Mapping[str, str]
    scalars: Mapping[str, Number]
    warnings: Sequence[str]
    """What of the job's earlier probes is damaged."""
    out: NotRequired[str]
    """The report's folder."""
