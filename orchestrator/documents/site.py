"""Documents on what lies on disks: a root, its archives, stores and datasets."""

from collections.abc import Mapping, Sequence
from typing import Literal

from typing_extensions import TypedDict

from orchestrator.documents.declared import Counts, Document, told
from orchestrator.jobs.datasets import Members, Shard, Split
from orchestrator.jobs.state import State


@told
class DoctorFinding(TypedDict):
    """What a check found."""

    check: str
    level: Literal["ok", "warn", "bad"]
    found: str
    advice: str
    """What to do; empty if nothing."""


@told
class DoctorDocument(Document):
    """Whether a site is fit for a study."""

    worst: Literal["ok", "warn", "bad"]
    findings: Sequence[DoctorFinding]


@told
class GcRow(TypedDict):
    """All things of a kind."""

    what: str
    things: int
    bytes: int
    of_others: int
    """Things of other users, which only they can remove."""
    bytes_of_others: int


@told
class GcKept(TypedDict):
    """A job that is done and whose states stay."""

    id: str
    name: str
    why: str


@told
class GcDocument(Document):
    """What may go, or with ``--yes`` went; without it nothing is removed."""

    bytes: int
    rows: Sequence[GcRow]
    kept: Sequence[GcKept]
    notes: Sequence[str]
    """In what places could not be asked, or with ``--yes`` what refused to go."""


@told
class SyncDocument(Document):
    """What a sync did in MLflow."""

    store: str
    """Its URI, without a password."""
    experiments: Mapping[str, str]
    """The store's ids by study."""
    updated: int
    """Runs."""
    created: int
    """Of these."""
    points: int
    pictures: int
    notes: Sequence[str]
    """What was refused, a sentence for each job."""


@told
class ExportDocument(Document):
    """What was put into a file."""

    file: str
    sweeps: Sequence[str]
    counts: Counts
    files: int
    bytes: int
    """Of the file itself."""
    open: int
    """Jobs that run or wait, or of which nobody can speak: UNKNOWN where they are imported."""


@told
class ReportDocument(Document):
    """Which files were written."""

    page: str
    bytes: int
    """Of the page."""
    figures: Sequence[str]
    """Paths of those that were kept beside it."""


@told
class ImportDocument(Document):
    """What an import wrote, or with ``--dry-run`` would write."""

    file: str
    from_root: str
    """The id of the run root that exported it."""
    sweeps: Sequence[str]
    written: bool
    fates: Mapping[str, Literal["new", "here already", "left alone"]]
    """By job."""
    bytes: int
    """Of the new jobs."""
    other_sweeps: Sequence[str]
    """Launched here, or here in another form: they stay so."""
    open: Mapping[str, State]
    """New jobs that were not over when they were exported: UNKNOWN here."""
    warnings: Sequence[str]


@told
class WeightsImage(TypedDict):
    """What the model takes: RGB or grey in [0, 1], less ``mean``, over ``std``."""

    pixels: int
    """Each side."""
    mean: Sequence[float]
    std: Sequence[float]


@told
class WeightsDocument(Document):
    """Which weights were written to a file, and how to load it."""

    file: str
    job: str
    """Its id."""
    name: str
    step: int
    epoch: int | None
    plain_timm: bool
    """Whether timm alone loads it."""
    code: Sequence[str]
    """Lines of Python that do so."""
    image: WeightsImage


@told
class DatasetDocument(Document):
    """A dataset's manifest."""

    name: str
    source: str
    split_rule: str
    classes: Sequence[str]
    """In the order of labels."""
    channels: Literal[1, 3]
    smallest: Sequence[int]
    """Width and height, each over all images."""
    largest: Sequence[int]
    counts: Mapping[Split, Sequence[int]]
    """Images of each class."""
    shards: Sequence[Shard]
    left_out: Sequence[str]
    """Files of the source that could not be read."""
    content_hash: str
    layout_hash: str
    label_space: str | None
    """The known list that the classes are."""
    classes_sha256: str | None
    passed_over: Mapping[str, int]
    """Images by class of the source that is not among the classes."""
    members: Members | None
    """How another tool's tars are read."""
    remote: Sequence[str]
    """URLs of training shards that are streamed."""


@told
class VerifyDocument(Document):
    """Whether a dataset is as its manifest says; the exit code is 1 if not."""

    name: str
    sound: bool
    images: Mapping[Split, int]
    content_hash: str
    """By the manifest."""
    faults: Sequence[str]
    undecodable: Sequence[str]
    """Images that do not decode, where ``--decode`` looked."""
