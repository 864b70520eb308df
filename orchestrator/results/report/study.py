"""What is known of a study, as plain values: its sweeps, runs, arms, controls and costs."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.jobs.facts import Ending
from orchestrator.results.contrasts import Judged
from orchestrator.results.emergence import Answer
from orchestrator.results.report.marks import Mark
from orchestrator.results.usage import PAUSES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from model.emergence import Emergence
    from model.figures import Histogram

ACCURACY = "val/top1"
OUTLIERS = "norms/outlier_share"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A sweep as it was launched.

    Attributes:
        comments: the head of its file, and of those that it extends and that ask a question: file
            names and texts, as they were stored at the launch.
        states: number of jobs by state.
        launched: when its first job was submitted, UTC epoch seconds; None: none was.
        command: the words that launch it again.
        prepared: the command lines in its comments that prepare data.
        removes: whether it has arms that are to remove artifacts.
    """

    name: str
    question: str
    comments: Sequence[tuple[str, str]] = ()
    states: Mapping[str, int] = field(default_factory=dict)
    launched: float | None = None
    command: Sequence[str] = ()
    prepared: Sequence[str] = ()
    removes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A job that trains.

    Attributes:
        arm: what names its arm in its sweep: the point's name without seed and learning rate.
        key: equal for the jobs of one arm: the configuration without seed and learning rate.
        stem: equal also for arms that differ in the number of registers alone.
        outcome: an `Ending` that is for good, or "": it is not over, or failed, or was stopped.
        stopped: whether a search stopped it early.
        model: settings of the model, nested.
        scale: of its data, length and size, by key: what runs that are compared have in common.
        curves: by metric, by complete epochs, the last value there.
        emergence: what the rule says of its probes; None: it was not asked.
        warmup: epochs of it.
        host: of its last start; "": it has none.
    """

    id: str
    name: str
    arm: str
    key: str
    seed: int
    lr: float
    outcome: str
    model: Mapping[str, Any]
    scale: Mapping[str, Any] = field(default_factory=dict)
    curves: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    emergence: Answer | None = None
    host: str = ""
    stopped: bool = False
    stem: str = ""
    warmup: int = 0

    @property
    def finished(self) -> bool:
        """Whether its numbers are those of the whole training."""
        return self.outcome == Ending.FINISHED

    @property
    def diverged(self) -> bool:
        """Whether training came to nothing, by the rules of divergence."""
        return self.outcome == Ending.DIVERGED

    def last(self, metric: str) -> float | None:
        """The newest value of a metric; None: it was not measured."""
        curve = self.curves.get(metric)
        return curve[max(curve)] if curve else None

    @property
    def judged(self) -> "Emergence | None":
        """Whether artifacts emerged, once that is so for good; of a part of training none is not.

        One that was stopped early says nothing of its arm: it was chosen by how it did.
        """
        found = self.emergence.found if self.emergence and not self.stopped else None
        return found if found and (self.finished or found.by is not None) else None

    def most(self, metric: str) -> float | None:
        """The largest value after the warm-up; None: it was not measured there."""
        curve = self.curves.get(metric, {})
        return max((value for epoch, value in curve.items() if epoch > self.warmup), default=None)

    def epoch_seconds(self) -> float | None:
        """What an epoch's training takes: the median over epochs, without evaluation and probes."""
        whole = self.curves.get("time/epoch_s", {})
        pauses = [self.curves.get(name, {}) for name in PAUSES]
        told = [
            spent - sum(one.get(epoch, 0.0) for one in pauses) for epoch, spent in whole.items()
        ]
        return statistics.median(told) if told else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """An evaluation of a run on another set of images.

    Attributes:
        key: of the arm.
        id, of: its job, and the one whose weights it evaluates.
    """

    key: str
    dataset: str
    seed: int
    lr: float
    metrics: Mapping[str, float]
    id: str
    of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """An analysis of a model that was trained elsewhere, of which something is known.

    Attributes:
        name: of its job.
        model: what timm calls it.
        expect: ``artifacts``, ``none``, ``contested``; empty where its sweep does not say.
        state: of its job.
        metrics: what was measured; empty until then.
    """

    name: str
    model: str
    expect: str = ""
    state: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """The runs that differ in seed and learning rate alone.

    Attributes:
        runs: those at the learning rate at which arms are compared.
        by_rate: all, by learning rate, ascending.
    """

    name: str
    key: str
    mark: Mark
    model: Mapping[str, Any]
    runs: Sequence[Run]
    by_rate: Mapping[float, Sequence[Run]]

    @property
    def scale(self) -> Mapping[str, Any]:
        """Of the data, length and size of its runs: see `Run`."""
        return next((run.scale for runs in self.by_rate.values() for run in runs), {})

    @property
    def registers(self) -> int:
        return int(self.model.get("registers") or 0)

    def values(self, metric: str) -> list[float]:
        """The last value of each run that finished."""
        found = (run.last(metric) for run in self.runs if run.finished)
        return [value for value in found if value is not None]

    def seconds(self) -> list[float]:
        """What an epoch's training takes in each run that finished."""
        found = (run.epoch_seconds() for run in self.runs if run.finished)
        return [value for value in found if value is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """What the probes left of an arm's runs, at the rate at which arms are compared.

    Attributes:
        seeds: how many were probed.
        epochs: of their last probes, which all but ``norms`` is of.
        norms: by epoch, the norms of patch tokens of the last block, all seeds together.
        maps: the class token's attention in the last block, of the first seed, ``(n, h, w)``.
        images: those of the maps, uint8 ``(n, C, H, W)``.
        batch: SHA-256 of the list of images that the maps' were chosen from.
        gate_means, gate_sparsity: ``(depth, heads)``, means over seeds; sparsity is the share of
            values below 0.1.
    """

    seeds: int = 0
    epochs: Sequence[int] = ()
    norms: "Mapping[int, Histogram]" = field(default_factory=dict)
    maps: "NDArray[Any] | None" = None
    images: "NDArray[Any] | None" = None
    batch: str = ""
    gate_means: "NDArray[Any] | None" = None
    gate_sparsity: "NDArray[Any] | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Jobs that failed alike."""

    kind: str
    message: str
    jobs: int
    only: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What the jobs of an arm, or all others, took: hours by the clock, and of their devices."""

    name: str
    jobs: int
    starts: int
    hours: float
    hours_lost: float
    device_hours: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Everything that the page shows.

    Attributes:
        name: of the study, or of the sweep if that alone was asked for.
        rate: the learning rate at which arms are compared; None: no job trains.
        arms: in the order of the sweeps; ``baseline`` the place of the plain one among them.
        inside: by arm's key.
        judged: by an arm's key and a metric, what its seeds said of images, where all left it.
        states: number of jobs by state; a job of two sweeps counts once.
        failures: of jobs; ``started`` such jobs, ``starts`` of workers.
        devices: "GPU" or "CPU", of whose hours ``spent`` tells.
        codes: where the code came from, and how many jobs ran it.
        datasets: name and hash of the content.
        hosts: machines that ran a job.
        mixed: what results that stand beside each other have not in common, in sentences.
        measured: when the newest measurement was made, UTC epoch seconds.
        command: the words that make this page again.
        notes: what could not be read, in sentences.
    """

    name: str
    asked: Sequence[Asked]
    states: Mapping[str, int] = field(default_factory=dict)
    rate: float | None = None
    arms: Sequence[Arm] = ()
    baseline: int | None = None
    evaluations: Sequence[Evaluation] = ()
    controls: Sequence[Control] = ()
    inside: Mapping[str, Inside] = field(default_factory=dict)
    judged: Mapping[tuple[str, str], Judged] = field(default_factory=dict)
    failures: Sequence[Failure] = ()
    started: int = 0
    starts: int = 0
    spent: Sequence[Spent] = ()
    devices: str = "CPU"
    codes: Sequence[tuple[str, int]] = ()
    datasets: Sequence[tuple[str, str]] = ()
    hosts: int = 0
    mixed: Sequence[str] = ()
    measured: float | None = None
    command: Sequence[str] = ()
    notes: Sequence[str] = ()

    @property
    def plain(self) -> Arm | None:
        """The arm that all others are compared with."""
        return None if self.baseline is None else self.arms[self.baseline]

    def like(self, one: Arm) -> list[Arm]:
        """Arms of the same data, length and size, itself first; others are not compared with it."""
        return [one, *(arm for arm in self.arms if arm is not one and arm.scale == one.scale)]

    @property
    def unlike(self) -> Sequence[Arm]:
        """Those that are not compared with the plain one."""
        alike = self.arms if self.plain is None else self.like(self.plain)
        return [arm for arm in self.arms if arm not in alike]

    def evaluations_of(self, arm: Arm, dataset: str) -> list[Evaluation]:
        """Those on a set, of an arm's runs that are compared and finished."""
        ids = {run.id for run in arm.runs if run.finished}
        return [one for one in self.evaluations if one.dataset == dataset and one.of in ids]
