"""From folded journals to one table: a row per group of points, seeds folded."""

import json
import math
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from model.flops import count_training_macs
from orchestrator.config import JobConfig, RunConfig
from orchestrator.errors import OrchestrateError, SpecError
from orchestrator.jobs.facts import Ending, JobFacts, read_journals
from orchestrator.jobs.gather import Beside, gather, read_submissions
from orchestrator.jobs.identity import FROZEN_DEFAULTS, flatten
from orchestrator.jobs.journal import fold
from orchestrator.jobs.layout import Root
from orchestrator.jobs.orders import read_orders, standing_orders
from orchestrator.jobs.records import Form, read_job, read_trained
from orchestrator.jobs.summary import lost_measurements, whole_ending
from orchestrator.results.course import Mark, course
from orchestrator.results.provenance import ARTIFACTS, OF_PROBES, UNKNOWN, Made, Maker, flags

SEED = "seed"
APART = (SEED, "of")
"""Settings that differ between seeds of one and the same method: a child's parent is one."""

# Two-sided 95 % quantiles of Student's t for 1, 2, ... degrees of freedom.
T_95 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
NORMAL_95 = 1.959964


@dataclass(frozen=True, slots=True)
class Result:
    """One job's result: its place on the axes, how it ended, its last metrics.

    ``fault``: what of it is gone or damaged; what is left of it is shown. ``ending`` is None where
    that is what it measured last: then its last metrics are of some moment, and not of its end.
    """

    id: str
    axes: Mapping[str, Any]
    ending: Ending | None
    metrics: Mapping[str, float]
    config: Mapping[str, Any] = field(default_factory=dict)
    """The whole configuration, nested; empty where the job's record cannot be read."""
    name: str = ""
    fault: str = ""
    course: tuple[Mark, ...] = ()
    """Where the metrics that were asked for were measured; see ``read_results``."""
    made: Made = UNKNOWN
    stopped: bool = False
    """Whether a search stopped it, so that its metrics are not those of its whole training."""
    passed: bool = False
    """Whether its metrics are those of a moment that it has passed, so that they count before its
    end; see `moments.placed`."""
    trained: Mapping[str, Any] = field(default_factory=dict)
    """Of a job that looks at what another one trained: the configuration of that, nested."""

    @property
    def counts(self) -> bool:
        """Whether its metrics are reported."""
        return self.ending is Ending.FINISHED or (self.passed and self.ending is None)

    def at(self, axis: str) -> Any:
        """Its place on an axis: what its configuration has there, or the name of its case.

        What is no setting of its own is its parent's. Of a group of settings, those that are not at
        their frozen default.
        """
        value = _inside(self.config, axis)
        if value is None:
            value = _inside(self.trained, axis)
        if isinstance(value, Mapping):
            return {k: v for k, v in value.items() if v != FROZEN_DEFAULTS.get(f"{axis}.{k}")}
        return self.axes.get(axis) if value is None else value


def _inside(config: Mapping[str, Any], key: str) -> Any:
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Points that agree on the chosen axes. ``std`` is the sample's, ``ci95`` Student's."""

    axes: Mapping[str, Any]
    n: int
    missing: int
    diverged: int
    mean: float | None
    std: float | None
    ci95: tuple[float, float] | None
    job_ids: tuple[str, ...]
    also: Mapping[str, float | None]
    """Means of further metrics."""
    mixes: tuple[str, ...]
    """Axes other than the seed on which the points of the group differ; where they agree on all of
    them, settings on which they differ."""
    values: tuple[float, ...] = ()
    """What the mean is of."""
    stopped: int = 0
    """By a search, and not whole; at a moment that they have passed they count like any other."""
    flags: tuple[str, ...] = ()
    """What else its points have not in common, or are: see `provenance.flags`."""


def read_results(
    root: Root, revision: Mapping[str, Any], metrics: Collection[str] = ()
) -> list[Result]:
    """The results of the jobs of a sweep's revision, in its order; a damaged one hides no other.

    Args:
        root: where they ran.
        revision: of a sweep, or of several together (`controller.where.jobs_meant`).
        metrics: those that are asked for: of them the course is kept, and where they are of probes
            it is looked up on which images.
    """
    ids, standing = [job["id"] for job in revision["jobs"]], standing_orders(read_orders(root))
    facts = gather(root, ids, read_submissions(root), Beside(standing=standing))
    probed = any(metric.startswith(OF_PROBES) for metric in metrics)
    maker = Maker(root, standing.discarded, probed=probed)
    found = (_result(maker, job, facts[job["id"]], metrics) for job in revision["jobs"])
    return [replace(one, stopped=one.ending is None and one.id in standing.stops) for one in found]


def _result(
    maker: Maker, job: Mapping[str, Any], facts: JobFacts, metrics: Collection[str]
) -> Result:
    root = maker.root
    journals = read_journals(root.job(facts.id), facts.discarded)
    history = fold(journals)
    form = None if facts.attempts else job.get("form")
    config, fault = _configuration(root, facts.id, form)
    trained = _trained(root, facts.id, form, config)
    began = {attempt.number: attempt.start.time for attempt in facts.attempts}
    own = config if isinstance(config, RunConfig) else None
    return Result(
        facts.id,
        job["axes"],
        whole_ending(facts, history),
        history.last(),
        config.to_plain() if config else {},
        name=job.get("name", facts.id[:8]),
        fault=facts.fault or lost_measurements(facts, history) or fault,
        course=course(journals, began, _macs_per_step(own), metrics) if metrics else (),
        made=maker.made(facts, trained.model.attention if trained else "", job),
        trained=trained.to_plain() if trained and trained is not config else {},
    )


def _configuration(root: Root, job: str, form: Form | None) -> tuple[JobConfig | None, str]:
    """A job's; None and why, if its record cannot be read."""
    try:
        return read_job(root, job, form), ""
    except OrchestrateError as error:
        return None, str(error)


def _trained(root: Root, job: str, form: Form | None, config: JobConfig | None) -> RunConfig | None:
    """By what its model was trained; None if that cannot be read."""
    if config is None or isinstance(config, RunConfig):
        return config
    try:
        return read_trained(root, job, form)
    except OrchestrateError:
        return None


def _macs_per_step(config: RunConfig | None) -> float | None:
    """Multiply-accumulates of a training step; a shorter last one of an epoch counts as whole.

    None: the job trains nothing, or its model is of a package that is not here.
    """
    if config is None:
        return None
    try:
        return float(count_training_macs(config.model) * config.train.batch_size)
    except ValueError:
        return None


def notes_of(results: Iterable[Result]) -> list[str]:
    """A sentence for each job that is not whole."""
    return [f"{one.name} ({one.id[:8]}): {one.fault}" for one in results if one.fault]


def axes_of(results: Iterable[Result]) -> list[str]:
    """Every axis of the results but the seed, in order of appearance."""
    return [axis for axis in dict.fromkeys(a for r in results for a in r.axes) if axis != SEED]


def places(results: Sequence[Result]) -> dict[str, dict[str, Any]]:
    """By id, where each result is on every axis that one of them stands on, the seed last."""
    every = [*axes_of(results), *([SEED] if any(SEED in r.axes for r in results) else [])]
    return {result.id: {axis: result.at(axis) for axis in every} for result in results}


def that_measure(results: Sequence[Result], metric: str) -> list[Result]:
    """Those whose task it is to measure a metric; the others are not missing, nobody asked them.

    An evaluation measures ``eval/<its set>/...``, or on the set of its training what training
    measures too; an analysis what probes do, and ``artifacts/...``; no training measures
    ``eval/...`` and ``artifacts/...``.
    """
    return [one for one in results if metric in one.metrics or _may_measure(one.config, metric)]


def _may_measure(config: Mapping[str, Any], metric: str) -> bool:
    if not config:
        return True
    match config.get("task"):
        case "evaluate":
            return metric.startswith(f"eval/{config['data']['name']}/")
        case "analyze":
            return metric.startswith(OF_PROBES)
    return not metric.startswith(("eval/", ARTIFACTS))


def check_question(results: Sequence[Result], metrics: Sequence[str], by: Sequence[str]) -> None:
    """Make sure that every metric was measured, or may still be, and every axis exists.

    Raises:
        SpecError: naming what there is.
    """
    measured = sorted({name for result in results for name in result.metrics})
    for metric in metrics:
        if metric not in measured and not _may_come(results, metric):
            told = f"Measured: {', '.join(measured)}" if measured else "Nothing was measured yet."
            raise SpecError(f"No job measured '{metric}'. {told}")
    known = [*axes_of(results), SEED]
    settings = {key for result in results for key in _settings(result)}
    for axis in by:
        if axis not in known and axis not in settings | FROZEN_DEFAULTS.keys():
            raise SpecError(
                f"'{axis}' is neither an axis of this sweep ({', '.join(known)}) nor a "
                "configuration key such as model.registers."
            )


def _may_come(results: Sequence[Result], metric: str) -> bool:
    """Whether it is some job's task to measure it, and none of these has finished without it."""
    asked = [one for one in results if _may_measure(one.config, metric)]
    return bool(asked) and not any(one.metrics and one.ending is Ending.FINISHED for one in asked)


def grouped(
    results: Sequence[Result], metric: str, by: Sequence[str], also: Sequence[str] = ()
) -> list[Group]:
    """Fold results over everything but the axes ``by``."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        place = {axis: result.at(axis) for axis in by}
        groups.setdefault(json.dumps(place, sort_keys=True), []).append(result)
    return [_group(members, metric, by, also) for members in groups.values()]


def _group(members: Sequence[Result], metric: str, by: Sequence[str], also: Sequence[str]) -> Group:
    finished = [r for r in members if r.counts]
    diverged = sum(r.ending is Ending.DIVERGED for r in members)
    stopped = sum(r.stopped and not r.counts for r in members)
    values = [r.metrics[metric] for r in finished if metric in r.metrics]
    return Group(
        axes={axis: members[0].at(axis) for axis in by},
        n=len(values),
        missing=len(members) - len(values) - diverged - stopped,
        diverged=diverged,
        stopped=stopped,
        mean=mean(values),
        std=deviation(values),
        ci95=interval(values),
        job_ids=tuple(r.id for r in members),
        also={name: _mean(finished, name) for name in also},
        mixes=_mixes(members, by),
        values=tuple(values),
        flags=flags([r.made for r in members]),
    )


def _mixes(members: Sequence[Result], by: Sequence[str]) -> tuple[str, ...]:
    others = [axis for axis in axes_of(members) if axis not in by]
    differ = tuple(a for a in others if len({json.dumps(r.at(a)) for r in members}) > 1)
    if differ or len(members) < 2:
        return differ
    settings = [_settings(r) for r in members if r.config]
    keys = sorted({key for one in settings for key in one} - {*APART, *by})
    return tuple(k for k in keys if len({json.dumps(one.get(k)) for one in settings}) > 1)


def _settings(result: Result) -> dict[str, Any]:
    """By key, its own and those of its parent that it does not set itself."""
    return {**dict(flatten(result.trained)), **dict(flatten(result.config))}


def mean(values: Sequence[float]) -> float | None:
    """The mean; nan if a value is not finite, None of no values."""
    if not values:
        return None
    return statistics.fmean(values) if all(map(math.isfinite, values)) else math.nan


def deviation(values: Sequence[float]) -> float | None:
    """The sample's standard deviation; nan if a value is not finite, None below two values."""
    if len(values) < 2:
        return None
    return statistics.stdev(values) if all(map(math.isfinite, values)) else math.nan


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % confidence interval of the mean of a normal sample, from two values on."""
    middle, spread = mean(values), deviation(values)
    if middle is None or spread is None:
        return None
    half = t_95(len(values) - 1) * spread / math.sqrt(len(values))
    return middle - half, middle + half


def t_95(freedom: int) -> float:
    """Student's two-sided 95 % quantile; beyond the table by its expansion about the normal's."""
    if freedom <= len(T_95):
        return T_95[freedom - 1]
    z = NORMAL_95
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


def _mean(results: Sequence[Result], metric: str) -> float | None:
    return mean([r.metrics[metric] for r in results if metric in r.metrics])


def cell(value: Any) -> Any:
    """An axis value in a table for programs: a group of settings as JSON, to be read back."""
    return json.dumps(value) if isinstance(value, dict | list) else value


def label(value: Any) -> str:
    """An axis value as a table shows it."""
    if isinstance(value, Mapping):
        return ",".join(label(part) for part in value.values())
    if value is None:
        return "-"
    return str(value)
