"""What jobs took so far, what those that go on still take, and when they will be done."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.config import JobConfig, Placement, Resources
from orchestrator.controller.hours import (
    Estimate,
    Total,
    estimate,
    finish_hours,
    jobs_at_once,
    kinds_of,
    shares_left,
)
from orchestrator.controller.pace import Kind, Pace, paces
from orchestrator.controller.progress import progress_by_axis
from orchestrator.controller.select import Named
from orchestrator.controller.spent import spent as spent_of
from orchestrator.controller.status import Row, jobs_as_json, rows_of
from orchestrator.controller.submit import Due, Terms, due_of_revision
from orchestrator.controller.survey import Survey
from orchestrator.documents.jobs import StatusDocument
from orchestrator.errors import DataError
from orchestrator.jobs.datasets import Manifest, load_manifest
from orchestrator.jobs.layout import Root
from orchestrator.jobs.records import Form, read_job
from orchestrator.jobs.spent import Spent
from orchestrator.jobs.state import MAY_BE_DUE, UNDER_WAY, JobStatus, State
from orchestrator.jobs.store import newest_revision

KEPT_S = 10.0
"""So long at least what other jobs measured is believed before it is read again."""
SPARING = 20
"""And so many times as long as it took to read it."""
OWN_PACE = "their own pace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """Hours that were spent and that are to come."""

    spent: Spent
    """By all starts, whatever became of them."""
    to_come: Total
    """For jobs that go on without a person's word."""
    going: int
    """How many jobs these are."""
    at_once: int
    """How many of them run at a time."""
    finish: float | None
    """When they are done, if they begin without delay; UTC epoch seconds; None: not known."""
    bases: Mapping[str, int]
    """How hours to come are known, in words: of how many jobs, most first."""


def goes_on(status: JobStatus) -> bool:
    """Whether a job will run, or runs, without a person's word."""
    if status.state in UNDER_WAY:
        return True
    stays = status.in_vain or (status.given_up and not status.held)
    return status.state in MAY_BE_DUE and not stays


def as_json(
    root: Root, sweep: str | None, jobs: Sequence[Named], found: Survey, notes: Sequence[str]
) -> StatusDocument:
    """The documented form of ``status --json``; ``notes``: in what places could not be asked."""
    rows = rows_of(root, jobs, found)
    outlook = Forecast(root).of(jobs, rows, found)
    spent, to_come = outlook.spent, outlook.to_come
    axes = progress_by_axis(rows, {job.id: job.axes for job in jobs})
    return {
        "schema": 1,
        "sweep": sweep,
        "counts": Counter(row.state for row in rows),
        "jobs": jobs_as_json(rows),
        "notes": notes,
        "axes": [
            {
                "axis": one.axis,
                "value": one.value,
                "counts": one.progress.counts,
                "epochs": one.progress.epochs,
                "epochs_asked": one.progress.asked,
            }
            for one in axes
        ],
        "spent": {"gpu_hours": spent.gpu_hours, "cpu_hours": spent.cpu_hours},
        "to_come": {
            "gpu_hours": to_come.gpu_hours,
            "cpu_hours": to_come.cpu_hours,
            "unknown": to_come.unknown,
        },
        "finish": outlook.finish,
    }


def _by_sweep(jobs: Sequence[Named], rows: Sequence[Row]) -> dict[str, list[Row]]:
    shown = {row.id: row for row in rows}
    found: dict[str, list[Row]] = {}
    for job in jobs:
        found.setdefault(job.sweep, []).append(shown[job.id])
    return found


class Forecast:
    """Tells of jobs what they took and will take; a long verb keeps one, for what it read."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._launched: dict[str, _Launched] = {}
        self._until = float("-inf")

    def of(self, jobs: Sequence[Named], rows: Sequence[Row], found: Survey) -> Outlook:
        """The outlook of these jobs, whose rows are of this look."""
        began = self._forget_what_is_old()
        known: list[Estimate] = []
        ends: list[float] = []
        unlisted, at_once = 0, 0
        for sweep, some in _by_sweep(jobs, rows).items():
            launched = self._of_sweep(sweep)
            listed = [row for row in some if launched is not None and row.id in launched.jobs]
            if launched is None or not listed:
                continue
            going = [row for row in listed if goes_on(found.statuses[row.id])]
            if not going:
                continue
            told, limit = launched.estimates(self._root, going, found), launched.at_once(going)
            if (hours := finish_hours(told, limit)) is not None:
                ends.append(hours)
            known += told
            unlisted += len(going) - len(told)
            at_once += min(limit, len(going))
        if began is not None:
            now = time.monotonic()
            self._until = now + max(KEPT_S, SPARING * (now - began))
        total = Total.of(known)
        return Outlook(
            spent=spent_of(found),
            to_come=replace(total, unknown=total.unknown + unlisted),
            going=len(known) + unlisted,
            at_once=at_once,
            finish=time.time() + 3600 * max(ends) if ends else None,
            bases=dict(Counter(one.basis for one in known if one.hours is not None).most_common()),
        )

    def about(self, jobs: Sequence[Named]) -> tuple[str, str]:
        """The names of their sweeps, and the question if that is one; empty where nothing is."""
        sweeps = list(dict.fromkeys(job.sweep for job in jobs if job.sweep))
        launched = self._of_sweep(sweeps[0]) if len(sweeps) == 1 else None
        return ", ".join(sweeps) or "jobs of no sweep", launched.question if launched else ""

    def _forget_what_is_old(self) -> float | None:
        """When it was forgotten, if that is now; the clock that only counts on."""
        now = time.monotonic()
        if now < self._until:
            return None
        self._launched.clear()
        return now

    def _of_sweep(self, sweep: str) -> "_Launched | None":
        if sweep not in self._launched:
            newest = newest_revision(self._root, sweep) if sweep else None
            if newest is None:
                return None
            self._launched[sweep] = _Launched.of(newest[1])
        return self._launched[sweep]


@dataclass(frozen=True, slots=True)
class _Coming:
    """A job of a sweep's revision, as an estimate asks for it."""

    root: Root
    due: Due
    form: Form

    @property
    def id(self) -> str:
        return self.due.id

    @property
    def placement(self) -> Placement:
        return self.due.placement

    @property
    def resources(self) -> Resources:
        return self.due.resources

    @property
    def config(self) -> JobConfig:
        return read_job(self.root, self.id, self.form)


@dataclass(frozen=True, slots=True)
class _Launched:
    """A sweep's newest revision, and what jobs like its own measured."""

    question: str
    terms: Terms
    jobs: Mapping[str, Due]
    data: dict[str, Manifest] = field(default_factory=dict)
    paces: dict[Kind, Pace | None] = field(default_factory=dict)

    @classmethod
    def of(cls, revision: dict[str, Any]) -> "_Launched":
        jobs = {one.id: one for one in due_of_revision(revision)}
        return cls(revision["question"], Terms.of_revision(revision), jobs)

    def at_once(self, rows: Sequence[Row]) -> int:
        """How many of these run at a time: as is set for them, else as many as now do, else all."""
        placements = [self.jobs[row.id].placement for row in rows]
        running = sum(row.state is State.RUNNING for row in rows)
        return jobs_at_once(placements, self.terms) or running or len(rows)

    def estimates(self, root: Root, rows: Sequence[Row], found: Survey) -> list[Estimate]:
        """What these still take; without jobs of older programs, whose form is not listed."""
        dues = ((row, self.jobs[row.id]) for row in rows)
        coming = [(row, _Coming(root, due, due.form)) for row, due in dues if due.form is not None]
        kinds = kinds_of((one for _, one in coming), self.terms)
        named = {one.form["reduced"].get("data.name") for _, one in coming}
        self._learn(root, {*kinds.values()}, named - {None})
        left = shares_left(root, kinds, found)
        alike: dict[Any, Estimate] = {}
        told = []
        for row, one in coming:
            kind, share = kinds[row.id], left[row.id]
            same = (kind, row.epochs, share, one.resources)
            if same not in alike:
                alike[same] = estimate(one, share, self.terms, self.data, self.paces[kind])
            known = alike[same]
            if row.eta_s is not None:
                known = replace(known, hours=row.eta_s / 3600, basis=OWN_PACE)
            told.append(known)
        return told

    def _learn(self, root: Root, kinds: set[Kind], data: set[str]) -> None:
        """Read what is not known yet of these kinds and datasets, as far as it is here."""
        if new := kinds - self.paces.keys():
            self.paces.update({**dict.fromkeys(new), **paces(root, new)})
        for name in data - self.data.keys():
            with suppress(DataError):
                self.data[name] = load_manifest(self.terms.data_root, name)
