"""The verb failures: what failed, grouped by why, and what the jobs of a group have in common."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, cast

from orchestrator.controller.select import Named
from orchestrator.controller.subjects import unmeasured
from orchestrator.controller.survey import Survey
from orchestrator.documents.jobs import FailureGroup, FailureRate, FailuresDocument
from orchestrator.jobs.facts import Ending
from orchestrator.jobs.layout import Root
from orchestrator.jobs.state import JobStatus, State
from orchestrator.jobs.store import newest_revision
from orchestrator.results.result import places

DIVERGED = "diverged"
FOLDS = (
    (re.compile(r"(?<![\w.])~?(/[\w.@+=-]+){2,}/?"), "PATH"),
    (re.compile(r"\b0x[0-9a-fA-F]+\b|\b(?=\d*[a-f])(?=[a-f]*\d)[0-9a-f]{8,}\b"), "HEX"),
    (re.compile(r"\d+(\.\d+)?(e[+-]?\d+)?"), "N"),
)
"""What differs between two failures of one kind, and what stands for it."""
FEW = 0.1
"""A setting tells failures apart if at most this share of those who have it did not fail so."""
TOGETHER = 2
"""Up to so many axes are looked at together."""


@dataclass(frozen=True, slots=True)
class Case:
    """A job that started: its place on the axes, and how it failed, if it did."""

    id: str
    name: str
    axes: Mapping[str, Any]
    kind: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Jobs that failed alike. ``only``: settings that they have, and hardly any other job has."""

    kind: str
    message: str
    count: int
    only: Mapping[str, Any]
    example: Mapping[str, str]
    """Id and name of one of them."""
    job_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How many of the started jobs with a value on an axis failed."""

    axis: str
    value: Any
    failed: int
    started: int
    rate: float


def cases_of(root: Root, jobs: Sequence[Named], found: Survey) -> list[Case]:
    """The jobs that started, or failed before they could."""
    axes = places_of(root, jobs)
    told = ((job, found.statuses[job.id]) for job in jobs)
    return [
        Case(job.id, job.name, axes[job.id], *_failure(status))
        for job, status in told
        if found.facts[job.id].attempts or status.state is State.FAILED
    ]


def grouped(cases: Sequence[Case]) -> list[Group]:
    """Failures by kind and folded message, the largest group first."""
    groups: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        if case.kind:
            groups.setdefault((case.kind, folded(case.message)), []).append(case)
    made = [_group(kind, members, cases) for (kind, _), members in groups.items()]
    return sorted(made, key=lambda group: -group.count)


def rates(cases: Sequence[Case]) -> list[Rate]:
    """Of each axis on which the jobs differ, the failures by value."""
    found = []
    for axis in _axes(cases):
        values: dict[str, list[Case]] = {}
        for case in cases:
            values.setdefault(_key(case, axis), []).append(case)
        for members in values.values() if len(values) > 1 else ():
            failed, value = sum(bool(case.kind) for case in members), members[0].axes.get(axis)
            rate = Rate(
                axis=axis,
                value=value,
                failed=failed,
                started=len(members),
                rate=failed / len(members),
            )
            found.append(rate)
    return found


def folded(message: str) -> str:
    """A message without the paths, addresses and numbers in which two of a kind differ."""
    for pattern, word in FOLDS:
        message = pattern.sub(word, message)
    return message


def as_json(
    sweep: str | None,
    groups: Sequence[Group],
    shares: Sequence[Rate],
    *,
    started: int,
    notes: Sequence[str],
) -> FailuresDocument:
    """The documented form of ``failures --json``."""
    return {
        "schema": 1,
        "sweep": sweep,
        "started": started,
        "failed": sum(group.count for group in groups),
        "groups": [cast("FailureGroup", asdict(group)) for group in groups],
        "rates": [cast("FailureRate", asdict(rate)) for rate in shares],
        "notes": notes,
    }


def _failure(status: JobStatus) -> tuple[str, str]:
    """Kind and message of a failure; of what a place ended only if it is given up."""
    if status.outcome == Ending.DIVERGED:
        return (
            DIVERGED,
            "too many steps had no finite gradient, or epochs a loss above that of zero logits",
        )
    over = status.state is State.FAILED or (status.state is State.PREEMPTED and status.given_up)
    return (status.kind, status.reason) if over else ("", "")


def places_of(root: Root, jobs: Sequence[Named]) -> dict[str, dict[str, Any]]:
    """By id, where each job is on the axes of all sweeps that have one of the jobs."""
    axes: dict[str, dict[str, Any]] = {job.id: {} for job in jobs}
    for sweep in root.sweep_names():
        newest = newest_revision(root, sweep)
        for job in newest[1]["jobs"] if newest else ():
            axes.get(job["id"], {}).update(job["axes"])
    return places(unmeasured(root, jobs, axes))


def _group(kind: str, members: Sequence[Case], cases: Sequence[Case]) -> Group:
    messages = {case.message for case in members}
    first = members[0]
    return Group(
        kind=kind,
        message=first.message if len(messages) == 1 else folded(first.message),
        count=len(members),
        only=_only(members, cases),
        example={"id": first.id, "name": first.name},
        job_ids=tuple(case.id for case in members),
    )


def _only(members: Sequence[Case], cases: Sequence[Case]) -> dict[str, Any]:
    """The fewest settings that all these jobs have and hardly any other; none of a single job."""
    if len(members) < 2:
        return {}
    first = members[0]
    agreed = [a for a in _axes(cases) if len({_key(case, a) for case in members}) == 1]
    for size in range(1, TOGETHER + 1):
        for axes in combinations(agreed, size):
            alike = [c for c in cases if all(_key(c, a) == _key(first, a) for a in axes)]
            if len(alike) < len(cases) and len(alike) - len(members) <= FEW * len(alike):
                return {axis: first.axes.get(axis) for axis in axes}
    return {}


def _axes(cases: Sequence[Case]) -> list[str]:
    return list(dict.fromkeys(axis for case in cases for axis in case.axes))


def _key(case: Case, axis: str) -> str:
    return json.dumps(case.axes.get(axis), sort_keys=True, default=str)
