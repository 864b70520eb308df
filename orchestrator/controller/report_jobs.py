"""The jobs of a study, read once, as its page shows them: runs, evaluations, controls."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.config import AnalyzeConfig, EvaluateConfig, JobConfig, RunConfig
from orchestrator.controller.select import Named, select
from orchestrator.controller.status import look_at
from orchestrator.controller.survey import Survey
from orchestrator.errors import OrchestrateError
from orchestrator.jobs.facts import Attempt, Ending
from orchestrator.jobs.gather import attempts_on
from orchestrator.jobs.identity import flatten, reduced
from orchestrator.jobs.journal import History
from orchestrator.jobs.layout import Root
from orchestrator.jobs.records import read_job, read_trained
from orchestrator.jobs.state import State
from orchestrator.jobs.summary import lost_measurements, whole_ending
from orchestrator.results.emergence import answer_of
from orchestrator.results.histories import read_histories
from orchestrator.results.report.arms import LEFT_OUT, SCALE, name_of
from orchestrator.results.report.numbers import are, counted
from orchestrator.results.report.study import Control, Evaluation, Run
from orchestrator.sweep.names import text_of


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was read of jobs, each once: those of a study in order, then the parents of others."""

    root: Root
    jobs: Sequence[Named]
    found: Survey
    attempts: Mapping[str, tuple[Attempt, ...]]
    histories: Mapping[str, History]


def gathered(root: Root, jobs: Sequence[Named]) -> Gathered:
    """What is read of these jobs: one look, their attempts, their folded journals."""
    ids = [job.id for job in jobs]
    return Gathered(
        root, jobs, look_at(root, jobs), attempts_on(root, ids), read_histories(root, ids)
    )


def parents_of(root: Root, jobs: Sequence[Named]) -> list[Named]:
    """Those of other sweeps whose weights these jobs evaluate: the arms are theirs."""
    wanted = {job.parent.id for job in jobs if job.parent} - {job.id for job in jobs}
    if not wanted:
        return []
    others = (job for sweep in root.sweep_names() for job in select(root, sweep))
    return [*{job.id: job for job in others if job.id in wanted}.values()]


def configs_of(told: Gathered) -> tuple[list[tuple[Named, JobConfig]], list[str]]:
    """The jobs whose configuration can be read, with it; a sentence on each that is not whole."""
    found, notes = [], []
    for job in told.jobs:
        if fault := _fault(told, job):
            notes.append(f"{job.name} ({job.id[:8]}): {fault}")
        try:
            found.append((job, read_job(told.root, job.id, job.form)))
        except OrchestrateError as error:
            notes.append(_left_out(job, error))
    return found, notes


def _fault(told: Gathered, job: Named) -> str:
    """What is gone or damaged of a job, so that its numbers are not those of its end."""
    facts = told.found.facts[job.id]
    return facts.fault or lost_measurements(facts, told.histories[job.id])


def _left_out(job: Named, error: OrchestrateError) -> str:
    return f"{job.name} ({job.id[:8]}) is left out: {error}"


def evaluations_of(
    told: Gathered, configs: Sequence[tuple[Named, JobConfig]]
) -> tuple[list[Evaluation], list[str]]:
    """Those of last weights that have measured something, and a sentence on what is left out.

    Of other weights one more of the same run would count as one more seed.
    """
    found, notes, others = [], [], 0
    for job, config in configs:
        if not isinstance(config, EvaluateConfig) or not told.histories[job.id].points:
            continue
        if config.checkpoint != "last":
            others += 1
        elif not _fault(told, job):
            try:
                found.append(_evaluation(told, job, config))
            except OrchestrateError as error:
                notes.append(_left_out(job, error))
    if others:
        told_of = f"{counted(others, 'evaluation')} of other weights than the last"
        notes.append(f"{told_of} {are(others)} left out; see: orchestrate results")
    return found, notes


def control_of(told: Gathered, job: Named, config: AnalyzeConfig) -> Control:
    """A model that was trained elsewhere, with what is known of it and what was measured."""
    return Control(
        name=job.name,
        model=config.timm,
        expect=job.expect,
        state=str(told.found.statuses[job.id].state),
        metrics=told.histories[job.id].last(),
    )


def run_of(told: Gathered, job: Named, config: RunConfig) -> Run:
    """A job that trains; one that is not whole has no outcome."""
    attempts = told.attempts[job.id]
    outcome = told.found.statuses[job.id].outcome
    whole = whole_ending(told.found.facts[job.id], told.histories[job.id])
    return Run(
        id=job.id,
        name=job.name,
        arm=name_of(job.axes or {}, text_of),
        key=_key(config),
        seed=config.seed,
        lr=config.optim.lr,
        outcome=str(outcome) if whole and outcome in tuple(Ending) else "",
        model=config.to_plain()["model"],
        scale={key: value for key, value in flatten(config.to_plain()) if key in SCALE},
        curves=_curves(told.histories[job.id]),
        emergence=answer_of(told.root, job.id, job.name, attempts) if attempts else None,
        host=attempts[-1].start.host if attempts else "",
        stem=_key(config, but="model.registers"),
        warmup=math.ceil(config.optim.warmup_epochs),
        stopped=told.found.statuses[job.id].state is State.STOPPED,
    )


def _evaluation(told: Gathered, job: Named, config: EvaluateConfig) -> Evaluation:
    trained = read_trained(told.root, job.id, job.form)
    assert trained is not None  # whoever evaluates has a parent
    return Evaluation(
        key=_key(trained),
        id=job.id,
        of=config.of,
        dataset=config.data.name,
        seed=trained.seed,
        lr=trained.optim.lr,
        metrics=told.histories[job.id].last(),
    )


def _key(config: RunConfig, *, but: str = "") -> str:
    """The same text for the jobs of one arm; also for those that differ in one setting more."""
    kept = {key: value for key, value in reduced(config).items() if key not in (*LEFT_OUT, but)}
    return repr(sorted(kept.items()))


def _curves(history: History) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {}
    for point in history.points:
        for metric, value in point.metrics.items():
            found.setdefault(metric, {})[point.epoch] = value
    return found
