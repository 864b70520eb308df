"""Documents on what jobs are, and on what became of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import TypedDict

from orchestrator.documents.declared import Counts, Document, NamedJob, Number, told
from orchestrator.jobs.state import State


@told
class StatusJob(TypedDict):
    """A job as ``status`` shows it."""

    id: str
    name: str
    state: State
    outcome: str | None
    """Of a job that is DONE: finished or diverged."""
    reason: str
    """What a user should know besides the state; empty if nothing."""
    epoch: int
    """Complete ones."""
    epochs: int
    step: int
    """Optimiser steps."""
    metrics: Mapping[str, Number]
    """Last values by name."""
    attempts: int
    """Starts."""
    executor: str | None
    handle: str | None
    """The place's name for it."""
    stale_s: float | None
    """Since the last sign of life of a running job."""
    older_code: bool
    """Whether its result is of other code than today's."""
    older_weights: bool
    """Of an evaluation or analysis: whether its parent was trained anew since."""
    rung: int | None
    """Of a job that is STOPPED: the number of the rung at which its search ended it, from 1."""


@told
class StatusAxis(TypedDict):
    """The jobs that have one value on one axis, of those on which the jobs differ."""

    axis: str
    value: str
    counts: Counts
    epochs: int
    """Trained by all of them."""
    epochs_asked: int


@told
class SpentHours(TypedDict):
    """Hours by the clock times devices: GPUs where a start had any, else cores."""

    gpu_hours: float
    cpu_hours: float


@told
class HoursToCome(TypedDict):
    """The same, of jobs that go on without a person's word, as far as they are known."""

    gpu_hours: float
    cpu_hours: float
    unknown: int
    """How many jobs' are not."""


@told
class StatusDocument(Document):
    """What there is of jobs now."""

    sweep: str | None
    """Null where the jobs were not asked for by a sweep's name."""
    counts: Counts
    jobs: Sequence[StatusJob]
    notes: Sequence[str]
    """In what places could not be asked."""
    axes: Sequence[StatusAxis]
    spent: SpentHours
    """By all starts of these jobs."""
    to_come: HoursToCome
    finish: float | None
    """When these are done; UTC epoch seconds. Null: not known, or nothing goes on."""


@told
class WatchDocument(Document):
    """One round of a watch."""

    sweeps: Sequence[str]
    over: bool
    """Nothing more comes by itself."""
    counts: Counts
    notes: Sequence[str]
    """What places or the store said against it."""


@told
class WhyDocument(Document):
    """What a job waits for, or how it ended."""

    id: str
    name: str
    state: State
    kind: str
    """Of its last failure, a row of the rules; empty if it has none."""
    told: Sequence[str]
    """In sentences."""
    next: str
    """What to do."""


@told
class FailureGroup(TypedDict):
    """Jobs that failed alike."""

    kind: str
    message: str
    """Numbers, paths and hexadecimal words are folded where jobs of the group differ in them."""
    count: int
    only: Mapping[str, Any]
    """The fewest settings, one or two, that a group has in common and that at most a tenth of the
    started jobs with them do not share with it."""
    example: NamedJob
    job_ids: Sequence[str]


@told
class FailureRate(TypedDict):
    """How many of the started jobs with a value on an axis failed."""

    axis: str
    value: Any
    failed: int
    started: int
    rate: float


@told
class FailuresDocument(Document):
    """What failed: FAILED, diverged, or PREEMPTED and given up."""

    sweep: str | None
    """Null where the jobs were not asked for by a sweep's name."""
    started: int
    failed: int
    groups: Sequence[FailureGroup]
    """The largest first."""
    rates: Sequence[FailureRate]
    notes: Sequence[str]
    """In what places could not be asked."""


@told
class RetryDocument(Document):
    """What was submitted again."""

    submitted: Sequence[str]
    """Ids."""
    later: Sequence[str]
    """Due too, but more than the place takes now: a watch submits them."""
    orphans: Sequence[str]
    """In no sweep any more."""
    warnings: Sequence[str]


@told
class RetryRule(TypedDict):
    """A rule, and the jobs that failed under it alike."""

    jobs: Sequence[NamedJob]
    told: Sequence[str]
    """The rule, how much of it is spent, and what a person can do, in sentences."""


@told
class RetryRulesDocument(Document):
    """What the rules say of the jobs that ``retry`` would try again."""

    rules: Sequence[RetryRule]


@told
class CancelDocument(Document):
    """Jobs that were cancelled; without ``--yes`` those that would be."""

    jobs: Sequence[NamedJob]
    cancelled: bool
    warnings: Sequence[str]
