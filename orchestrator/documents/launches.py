"""Documents on sweep files: what a launch would do, did, and what arms cost."""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired

from typing_extensions import TypedDict

from orchestrator.documents.declared import Counts, Document, NamedJob, told
from orchestrator.jobs.state import State


@told
class PlanAxis(TypedDict):
    """The jobs that have one value on one axis."""

    axis: str
    value: str
    counts: Counts
    gpu_hours: float
    """Of those that are to come or under way, as far as they are known."""
    cpu_hours: float


@told
class PlanShape(TypedDict):
    """Jobs that would be submitted alike."""

    jobs: int
    example: str
    """The name of one."""
    refusals: Sequence[str]
    """What its place says against it."""


@told
class PlanJob(TypedDict):
    """A job of the sweep; its hours are 0 where nothing of it is to come or under way."""

    id: str
    name: str
    config: Mapping[str, Any]
    """Nested, and whole."""
    state: State
    reason: str
    hours: float | None
    """That are left, by the clock; null where they are not known, as the next two."""
    gpu_hours: float | None
    """0 where it uses no GPU."""
    cpu_hours: float | None
    """0 where it uses a GPU."""
    crossings: int | None
    """Time limits that end it."""
    basis: str
    """From what the hours are known."""


@told
class PlanDisk(TypedDict):
    """What checkpoints take. In bytes."""

    peak: int
    after_gc: int
    free: int


@told
class PlanDecoded(TypedDict):
    """What decoded images of a dataset take on each node, if they are 4:3."""

    dataset: str
    px: int
    bytes: int


@told
class PlanPromise(TypedDict):
    """What the sweep's seeds would tell of ``val/top1``, in points."""

    seeds: int
    """Of the arm that has fewest."""
    deviation: float
    """Over seeds, that is taken."""
    arms: int
    """Of so many past arms of the study; 0: it is assumed."""
    difference: float | None
    """A single Welch's test, before Holm, finds it in 80 % of studies; null with one seed."""


@told
class PlanSearch(TypedDict):
    """How jobs are stopped early. All other hours are of jobs that go to their end."""

    metric: str
    grace: int
    reduction: int
    rungs: Sequence[int]
    """The epochs after which jobs are judged."""
    least_gpu_hours: float
    """If all jobs but one end at the first rung."""
    least_cpu_hours: float


@told
class PlanDocument(Document):
    """What a launch would do and cost; hours and bytes are of jobs to come or under way."""

    sweep: str
    counts: Counts
    axes: Sequence[PlanAxis]
    shapes: Sequence[PlanShape]
    jobs: Sequence[PlanJob]
    gpu_hours: float
    """Of the jobs whose hours are known."""
    cpu_hours: float
    unknown: int
    """The number of the others."""
    finish: float | None
    """When all would be done, UTC epoch seconds; null where that is not known."""
    flops: float
    """Floating-point operations of the training that is to come."""
    disk: PlanDisk
    supposed: Sequence[str]
    """Datasets that are not there, and were taken to have as many images as one said."""
    decoded: Sequence[PlanDecoded]
    detectable: PlanPromise | None
    """Null of a sweep that trains nothing."""
    search: PlanSearch | None
    """Null of a sweep without one."""


@told
class LaunchDocument(Document):
    """What a launch did, and what it left alone."""

    sweep: str
    executor: str
    root: str
    """The run root."""
    revision: int
    """The number of what was stored of the sweep."""
    jobs: int
    submitted: Sequence[str]
    """Ids."""
    later: Sequence[str]
    """Due too, but more than the place takes now: a watch submits them."""
    why_later: str
    """What the place said of that."""
    behind: Sequence[str]
    """Held until the trial jobs have taken steps: a watch submits them then."""
    waiting: int
    """Jobs that wait for their parents."""
    ending: int
    """Cancelled before, and still ending: they cannot be submitted yet."""
    left_alone: Counts
    older_code: int
    """Of those that are DONE."""
    older_weights: int
    """Of evaluations and analyses that are DONE: their parents were trained anew since."""
    other_placement: int
    """Of those that wait: submitted with another placement or other resources than now."""
    dropped_running: Sequence[NamedJob]
    """No longer in the sweep, but running or waiting."""
    controller: str | None
    """A sentence on the small job that tends the sweep."""
    warnings: Sequence[str]


@told
class FlopsSpread(TypedDict):
    """Over rounds."""

    median: float
    low: float
    """The lower quartile."""
    high: float


@told
class FlopsTime(TypedDict):
    """What was measured of an arm. Seconds are per image, ratios over vanilla of the same round."""

    forward_s: FlopsSpread
    training_s: FlopsSpread
    """Of a forward and a backward pass."""
    forward_ratio: FlopsSpread
    training_ratio: FlopsSpread
    peak_bytes: int | None
    """Of a GPU's memory in training."""


@told
class FlopsConditions(TypedDict):
    """Under which times hold; without optimiser, data and drop path."""

    device: str
    name: str
    threads: int
    precision: str
    tf32: bool
    batch: int
    repeats: int
    torch: str


@told
class FlopsArm(TypedDict):
    """An architecture. MACs count products of matrices and convolutions alone, for one image."""

    name: str
    config: Mapping[str, Any]
    params: int
    """That are trained."""
    forward_macs: int
    relative_to_vanilla: float
    """Of forward MACs; vanilla has the arm's own sizes, ``mlp_ratio`` among them."""
    relative_to_first: float
    """To those of the sweep's first arm."""
    training_macs: int
    """Forward and backward."""
    attention: str
    """What the variant is."""
    time: NotRequired[FlopsTime]
    """With ``--time``."""


@told
class FlopsDocument(Document):
    """What arms cost. MACs are not time, which also moves memory."""

    arms: Sequence[FlopsArm]
    conditions: NotRequired[FlopsConditions]
    """With ``--time``."""
