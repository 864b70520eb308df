"""The verb status: every job of a sweep in one line, from one survey and the journals."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from orchestrator.controller.parents import look, of_older_weights
from orchestrator.controller.select import Named
from orchestrator.controller.survey import Survey
from orchestrator.documents.jobs import StatusJob
from orchestrator.executors import executor_named
from orchestrator.jobs.clock import file_time
from orchestrator.jobs.code import is_older, todays_codes
from orchestrator.jobs.facts import read_journals
from orchestrator.jobs.journal import Journal
from orchestrator.jobs.layout import Root
from orchestrator.jobs.packages import packages_of_sweep
from orchestrator.jobs.settled import done_for_good, remember
from orchestrator.jobs.state import JobStatus, State
from orchestrator.jobs.summary import Summary, summarise


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One job as ``status`` shows it; times in seconds."""

    id: str
    name: str
    state: State
    outcome: str | None
    reason: str
    epoch: int
    epochs: int
    step: int
    eta_s: float | None
    metrics: Mapping[str, float]
    attempts: int
    executor: str | None
    handle: str | None
    stale_s: float | None
    older_code: bool
    older_weights: bool
    rung: int | None = None


def look_at(root: Root, jobs: Sequence[Named]) -> Survey:
    """What there is to be seen of these jobs now."""
    return look(root, jobs)


def rows_of(root: Root, jobs: Sequence[Named], found: Survey) -> list[Row]:
    """The rows of these jobs, as ``found`` shows them; what is done for good is remembered."""
    now = file_time(root.path)
    looks = {job.id: _look(root, job, found, now) for job in jobs}
    if found.memory is not None:
        done = {
            job: done_for_good(found.facts[job], found.seen, look.summary)
            for job, look in looks.items()
            if job not in found.settled
        }
        remember(root, found.memory, {job: known for job, known in done.items() if known})
    # Revisions are large, and only jobs of a user's packages need them.
    sweeps = {job.sweep for job in jobs if looks[job.id].summary.package}
    today = {name: todays_codes(packages_of_sweep(root, name)) for name in sweeps}
    ours = todays_codes({})
    anew = of_older_weights(root, jobs, found)
    current = {job.id: _Current(today.get(job.sweep, ours), job.id in anew) for job in jobs}
    return [_row(root, job, found.statuses[job.id], looks[job.id], current[job.id]) for job in jobs]


def jobs_as_json(rows: Sequence[Row]) -> list[StatusJob]:
    """The jobs of ``status --json``."""
    keys = [name for name in Row.__slots__ if name != "eta_s"]  # an estimate is for people
    return cast("list[StatusJob]", [{name: getattr(row, name) for name in keys} for row in rows])


@dataclass(frozen=True, slots=True)
class _Look:
    """What a job's files say, and how a running one fares; times in seconds."""

    summary: Summary
    eta: float | None = None
    stale: float | None = None


@dataclass(frozen=True, slots=True)
class _Current:
    """What a result is held against: today's codes by package, and its parent's weights."""

    codes: Mapping[str, str]
    weights_anew: bool
    """Whether the parent was trained anew since."""


def _look(root: Root, job: Named, found: Survey, now: float) -> _Look:
    if job.id in found.settled:
        return _Look(found.settled[job.id].summary)
    facts = found.facts[job.id]
    journals = read_journals(root.job(job.id), facts.discarded) if facts.attempts else []
    summary = summarise(root, facts, journals, job.form)
    if found.statuses[job.id].state is not State.RUNNING:
        return _Look(summary)
    last = facts.attempts[-1] if facts.attempts else None
    return _Look(
        summary,
        eta=_eta(journals[-1], now) if journals else None,
        stale=max(0.0, now - last.heartbeat) if last and last.ending is None else None,
    )


def _row(root: Root, job: Named, status: JobStatus, look: _Look, current: _Current) -> Row:
    summary, today = look.summary, current.codes
    mixed = "mixed code" if len(summary.codes) > 1 else ""
    fault = summary.fault if status.state is not State.UNKNOWN else ""
    return Row(
        id=job.id,
        name=job.name,
        state=status.state,
        outcome=status.outcome,
        reason=fault or mixed or _reason(status) or _unjudged(status, summary, today),
        epoch=summary.epoch,
        epochs=summary.epochs,
        step=summary.step,
        eta_s=look.eta,
        metrics=summary.metrics,
        attempts=summary.attempts,
        executor=summary.executor,
        handle=_handle(root, summary),
        stale_s=look.stale,
        older_code=is_older(summary.codes, summary.package, today),
        older_weights=current.weights_anew,
        rung=status.rung,
    )


def _unjudged(status: JobStatus, summary: Summary, today: Mapping[str, str]) -> str:
    """That of a result one cannot say whether its package was edited since, if so."""
    known = summary.package in today or is_older(summary.codes, summary.package, today)
    if known or status.state is not State.DONE:
        return ""
    return f"today's code of its package {summary.package} is not known"


def _reason(status: JobStatus) -> str:
    """Why a job is what it is, and when a watch tries it again, if that has a time."""
    if status.due_at is None:
        return status.reason
    when = time.strftime("%H:%M:%S", time.localtime(status.due_at))
    return f"{status.reason}; again from {when}"


def _handle(root: Root, summary: Summary) -> str | None:
    if summary.executor is None or summary.handle is None:
        return None
    place = executor_named(summary.executor, root)
    return place.member_handle(summary.handle, summary.token, summary.index)


def _eta(journal: Journal, now: float) -> float | None:
    """Seconds to the last step at this attempt's own pace."""
    points = journal.points
    if len(points) < 2 or points[-1].step == points[0].step:
        return None
    pace = (points[-1].time - points[0].time) / (points[-1].step - points[0].step)
    left = (journal.steps - points[-1].step) * pace
    return max(0.0, left - max(0.0, now - points[-1].time))
