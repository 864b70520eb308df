"""The verb status: every job of a sweep in one line, from one survey and the journals."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.controller.select import Named
from orchestrator.controller.survey import Survey, survey
from orchestrator.errors import OrchestrateError
from orchestrator.executors import executor_named
from orchestrator.jobs.clock import file_time
from orchestrator.jobs.code import code_hash
from orchestrator.jobs.facts import JobFacts, Member, contributors, final_attempt, read_journals
from orchestrator.jobs.journal import History, Journal, fold
from orchestrator.jobs.layout import Root
from orchestrator.jobs.state import JobStatus, State
from orchestrator.jobs.store import read_job

SCHEMA = 1


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


def look_at(root: Root, jobs: Sequence[Named]) -> Survey:
    """What there is to be seen of these jobs now."""
    return survey(root, [job.id for job in jobs])


def rows_of(root: Root, jobs: Sequence[Named], found: Survey) -> list[Row]:
    """The rows of these jobs, as ``found`` shows them."""
    now, today = file_time(root.path), code_hash()
    return [_row(root, job, found, now, today) for job in jobs]


def as_json(sweep: str | None, rows: Sequence[Row], notes: Sequence[str]) -> dict[str, Any]:
    """The documented form of ``status --json``; ``notes``: in what places could not be asked."""
    counts = Counter(row.state.value for row in rows)
    keys = [name for name in Row.__slots__ if name != "eta_s"]  # an estimate is for people
    jobs = [{name: getattr(row, name) for name in keys} for row in rows]
    return {
        "schema": SCHEMA,
        "sweep": sweep,
        "counts": dict(counts),
        "jobs": jobs,
        "notes": list(notes),
    }


def _row(root: Root, job: Named, found: Survey, now: float, today: str) -> Row:
    facts, status = found.facts[job.id], found.statuses[job.id]
    journals = read_journals(root.job(job.id))
    history = fold(journals)
    points = history.points
    epochs, fault = _epochs(root, job)
    codes = codes_of_result(facts)
    running = status.state is State.RUNNING
    member = facts.members[-1] if facts.members else None
    attempt = facts.attempts[-1] if facts.attempts else None
    return Row(
        id=job.id,
        name=job.name,
        state=status.state,
        outcome=status.outcome,
        reason=fault
        or _lost_measurements(facts, history)
        or ("mixed code" if len(codes) > 1 else _reason(status)),
        epoch=points[-1].epoch if points else 0,
        epochs=epochs,
        step=points[-1].step if points else 0,
        eta_s=_eta(journals[-1], now) if running and journals else None,
        metrics=history.last(),
        attempts=len(facts.attempts),
        executor=member.executor if member else None,
        handle=_handle(root, member) if member else None,
        stale_s=max(0.0, now - attempt.heartbeat)
        if attempt and running and attempt.ending is None
        else None,
        older_code=not codes <= {today},
    )


def _reason(status: JobStatus) -> str:
    """Why a job is what it is, and when a watch tries it again, if that has a time."""
    if status.due_at is None:
        return status.reason
    when = time.strftime("%H:%M:%S", time.localtime(status.due_at))
    return f"{status.reason}; again from {when}"


def _handle(root: Root, member: Member) -> str | None:
    if member.handle is None:
        return None
    return executor_named(member.executor, root).member_handle(member.handle, member.index)


def _epochs(root: Root, job: Named) -> tuple[int, str]:
    """How many a job has; 0 and why, if its record cannot be read: one job hides no other."""
    try:
        return read_job(root, job.id).train.epochs, ""
    except OrchestrateError as error:
        return 0, str(error)


def _eta(journal: Journal, now: float) -> float | None:
    """Seconds to the last step at this attempt's own pace."""
    points = journal.points
    if len(points) < 2 or points[-1].step == points[0].step:
        return None
    pace = (points[-1].time - points[0].time) / (points[-1].step - points[0].step)
    left = (journal.steps - points[-1].step) * pace
    return max(0.0, left - max(0.0, now - points[-1].time))


def _lost_measurements(facts: JobFacts, history: History) -> str:
    """That a DONE job's journals do not reach the step at which it ended, if they do not."""
    final = final_attempt(facts.attempts)
    measured = history.points[-1].step if history.points else 0
    if final is None or measured >= final.step:
        return ""
    return f"its journal is missing or damaged: it ends at step {measured} of {final.step}"


def codes_of_result(facts: JobFacts) -> set[str]:
    """Hashes of the code that made the result of a DONE job; empty of another."""
    return {attempt.start.code_hash for attempt in contributors(facts.attempts)}
