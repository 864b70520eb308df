"""The result of a job: where it stands on the axes, how it ended, what it measured last."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from model.flops import count_training_macs
from orchestrator.config import RunConfig
from orchestrator.errors import SpecError
from orchestrator.jobs.facts import Ending, JobFacts, final_attempt, read_journals
from orchestrator.jobs.gather import Beside, gather, read_submissions
from orchestrator.jobs.identity import FROZEN_DEFAULTS, flatten
from orchestrator.jobs.journal import Journal, fold
from orchestrator.jobs.layout import Root
from orchestrator.jobs.orders import read_orders, standing_orders
from orchestrator.jobs.parents import Parent
from orchestrator.jobs.records import Form, settings_in
from orchestrator.jobs.store import forms_of
from orchestrator.jobs.summary import lost_measurements, whole_ending
from orchestrator.results.course import Mark, course
from orchestrator.results.provenance import ARTIFACTS, OF_PROBES, UNKNOWN, Made, Maker

SEED = "seed"
PURPOSE = ("task", "checkpoint")
"""Settings that tell jobs apart which look at one and the same model."""


@dataclass(frozen=True, slots=True)
class Result:
    """One job's result: its place on the axes, how it ended, its last metrics.

    One that looks at a model whose training diverged counts as diverged, however well it ended.
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


def read_results(
    root: Root, revision: Mapping[str, Any], metrics: Collection[str] = ()
) -> list[Result]:
    """The results of the jobs of a sweep's revision, in its order; a damaged one hides no other.

    Args:
        root: where they ran.
        revision: of a sweep, or of several together (`controller.subjects.jobs_meant`).
        metrics: those that are asked for: of them the course is kept, and where they are of probes
            it is looked up on which images.
    """
    ids, standing = [job["id"] for job in revision["jobs"]], standing_orders(read_orders(root))
    parents = {parent.id for job in revision["jobs"] if (parent := Parent.listed(job))}
    every = list(dict.fromkeys([*ids, *parents]))
    facts = gather(root, every, read_submissions(root), Beside(standing=standing))
    probed = any(metric.startswith(OF_PROBES) for metric in metrics)
    maker, forms = Maker(root, standing.discarded, probed=probed), forms_of(root, parents)
    found = (_result(maker, job, facts, forms, metrics) for job in revision["jobs"])
    return [replace(one, stopped=one.ending is None and one.id in standing.stops) for one in found]


def _result(
    maker: Maker,
    job: Mapping[str, Any],
    every: Mapping[str, JobFacts],
    forms: Mapping[str, Form],
    metrics: Collection[str],
) -> Result:
    root, facts, parent = maker.root, every[job["id"]], Parent.listed(job)
    journals = read_journals(root.job(facts.id), facts.discarded)
    history = fold(journals)
    form = None if facts.attempts else job.get("form")
    config, trained, fault = settings_in(root, facts.id, form, forms)
    began = {attempt.number: attempt.start.time for attempt in facts.attempts}
    own = config if isinstance(config, RunConfig) else None
    return Result(
        facts.id,
        job["axes"],
        Ending.DIVERGED if parent and _diverged(every[parent.id]) else whole_ending(facts, history),
        history.last(),
        config.to_plain() if config else {},
        name=job.get("name", facts.id[:8]),
        fault=facts.fault or lost_measurements(facts, history) or fault,
        course=_course(journals, began, own, metrics) if metrics else (),
        made=maker.made(facts, trained.model.attention if trained else "", job),
        trained=trained.to_plain() if trained and own is None else {},
    )


def _diverged(parent: JobFacts) -> bool:
    final = final_attempt(parent.attempts)
    return final is not None and final.ending is Ending.DIVERGED


def _course(
    journals: Sequence[Journal],
    began: Mapping[int, float],
    config: RunConfig | None,
    metrics: Collection[str],
) -> tuple[Mark, ...]:
    """Of a job that trains nothing, without hours: they are no hours of training."""
    marks = course(journals, began, _macs_per_step(config), metrics)
    return marks if config else tuple(replace(mark, hours=None) for mark in marks)


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


def faults_of(results: Iterable[Result]) -> list[str]:
    """A sentence for each job that is not whole."""
    return [f"{one.name} ({one.id[:8]}): {one.fault}" for one in results if one.fault]


def axes_of(results: Iterable[Result]) -> list[str]:
    """Every axis of the results but the seed, in order of appearance.

    What jobs are for is one where it differs: a model is no further seed of itself.
    """
    every = list(results)
    axes = [axis for axis in dict.fromkeys(a for r in every for a in r.axes) if axis != SEED]
    told = {axis: {str(r.config.get(axis)) for r in every if r.config} for axis in PURPOSE}
    return [*axes, *(axis for axis in PURPOSE if axis not in axes and len(told[axis]) > 1)]


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
    return [one for one in results if metric in one.metrics or _may_measure(one, metric)]


def _may_measure(one: Result, metric: str) -> bool:
    if not one.config:
        return True
    match one.config.get("task"):
        case "evaluate":
            name = one.config["data"]["name"]
            own = name == _inside(one.trained, "data.name")
            return metric.startswith("val/" if own else f"eval/{name}/")
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
    settings = {key for result in results for key in settings_of(result)}
    for axis in by:
        if axis not in known and axis not in settings | FROZEN_DEFAULTS.keys():
            raise SpecError(
                f"'{axis}' is neither an axis of this sweep ({', '.join(known)}) nor a "
                "configuration key such as model.registers."
            )


def _may_come(results: Sequence[Result], metric: str) -> bool:
    """Whether it is some job's task to measure it, and none of these has finished without it."""
    asked = [one for one in results if _may_measure(one, metric)]
    return bool(asked) and not any(one.metrics and one.ending is Ending.FINISHED for one in asked)


def settings_of(result: Result) -> dict[str, Any]:
    """By key, its own and those of its parent that it does not set itself."""
    return {**dict(flatten(result.trained)), **dict(flatten(result.config))}
