"""Documents on what was measured."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from orchestrator.documents.declared import Document, Number, told


@told
class Contrast(TypedDict):
    """A row less the baseline, in the unit of the metric."""

    difference: Number | None
    """Of the means over seeds."""
    ci95: Sequence[Number] | None
    """Its 95 % interval by Welch's t over seeds, of this row alone; null below two seeds."""
    p: Number | None
    """Of no difference, by the same test."""
    p_holm: Number | None
    """Adjusted by Holm over all rows."""
    p_equivalence: Number | None
    """Of a difference of ``margin`` or more: two one-sided tests."""
    margin: float | None
    """Within it a difference does not matter; null: equivalence is not tested."""
    images: int
    """That both were asked about at the end, as far as their predictions are there; for a gap of
    both its sets together."""
    images_apart: int
    """That only one of them was asked about."""
    bootstrap95: Sequence[Number] | None
    """The 95 % interval of the difference on these images, over seeds and over images."""
    verdict: Literal["higher", "lower", "equivalent", "undecided", "one seed", "mixed"]
    better: bool | None
    """Null where it is not decided, or neither direction of the metric is better."""


@told
class ResultsRow(TypedDict):
    """Points that agree on the axes; beside these keys each axis of ``by``, and each ``--also``."""

    n: int
    """Jobs that measured the metric and are done, or have passed the moment at which it is told."""
    missing: int
    diverged: int
    stopped: int
    """By a search, before their end, or before the moment at which it is told."""
    mean: Number | None
    std: Number | None
    """The sample's; null below two values."""
    ci95: Sequence[Number] | None
    """The 95 % confidence interval of the mean."""
    job_ids: Sequence[str]
    mixes: Sequence[str]
    """Axes on which the row's points differ; where they agree on all, settings."""
    values: Sequence[Number]
    """What the mean is of."""
    flags: Sequence[str]
    """In words: how many versions of code, of data, lists of probed images; what is older."""
    contrast: NotRequired[Contrast | None]
    """With ``--baseline``; null of the baseline itself."""


@told
class ResultsChoice(TypedDict):
    """What was chosen in a group."""

    place: Mapping[str, Any]
    """The group, by its place on the other axes."""
    value: Any
    """Null where nothing could be chosen."""
    told: int
    """Of so many values the seed has one by which is chosen."""
    values: int
    """So many there are."""
    diverged: int
    """With so many of them the seed diverged."""


@told
class ResultsChosen(TypedDict):
    """The axis of ``--choose``."""

    axis: str
    on_seed: int
    groups: Sequence[ResultsChoice]


@told
class Detectable(TypedDict):
    """What rows of these sizes and this spread would tell."""

    difference: float
    """A single Welch's test, before Holm, finds it in 80 % of studies."""
    one: int
    """Seeds of the smallest row of two or more, but for the baseline."""
    other: int
    """Seeds of the baseline; where there is none, of the next smallest row."""
    deviation: float
    """Over seeds, pooled over all rows."""


@told
class ResultsDocument(Document):
    """Mean and spread over seeds of a metric, and differences from a baseline."""

    metric: str
    by: Sequence[str]
    at: str
    """When the metric is told, as ``--at`` takes it."""
    selected_on_reported: bool
    """Whether that is the best value, selected on the very set that is reported."""
    chosen: ResultsChosen | None
    baseline: Mapping[str, Any] | None
    """The baseline's place on the axes."""
    detectable: Detectable | None
    """Null without two rows of two seeds, or without any spread."""
    rows: Sequence[ResultsRow]
    notes: Sequence[str]
    """Which jobs are not whole, and what they lack; what is to be said of all rows."""


@told
class Rule(TypedDict):
    """The numbers of the rule of emergence."""

    share: float
    """The lower bound of a positive block's share of outliers is above this."""
    confidence: float
    """Of that bound, one-sided."""
    received: float
    """Attention that outliers receive over the median patch's, at least."""
    consecutive: int
    """So many positive probes in a row."""
    resamples: int
    """Of the bootstrap."""
    seed: int
    """Of the bootstrap."""
    images: int
    """Of a probe, at least."""


@told
class Emerged(TypedDict):
    """The rule's answer for one job."""

    after: int | None
    """The epoch before which there were none; null where they were there at the first probe."""
    by: int | None
    """The epoch at which they were there; null where they did not emerge."""
    blocks: Sequence[int]
    """Those that were positive."""
    until: int | None
    """The last epoch that was judged."""
    lasting: bool
    """Whether one of these blocks is positive at ``until`` too."""
    undecided: str
    """Why the probe after ``until`` could not be judged; empty where all were."""


@told
class EmergenceJob(TypedDict):
    """A job, and when artifacts emerged in it."""

    id: str
    name: str
    answer: str
    """In words."""
    found: Emerged | None
    """Null where it cannot be told."""
    lists_of_images: int


@told
class EmergenceRow(TypedDict):
    """An arm; beside these keys each axis of ``by``."""

    seeds: int
    judged: int
    emerged: int
    lists_of_images: int
    """Different ones that probes were made on; of more than one, numbers do not compare."""
    jobs: Sequence[EmergenceJob]


@told
class EmergenceDocument(Document):
    """When high-norm artifacts emerged."""

    by: Sequence[str]
    rule: Rule
    rows: Sequence[EmergenceRow]
    notes: Sequence[str]


OPEN = (ResultsRow, EmergenceRow)
"""Types that may have keys beside theirs."""
