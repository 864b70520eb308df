"""Submissions on disk: the intent comes first, then what the place answered."""

import os
import secrets
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field

from orchestrator.config import ClusterProfile, Placement, RaySite, Resources
from orchestrator.config.section import Section
from orchestrator.jobs.files import (
    checked,
    damaged,
    publish,
    publish_once,
    read_record,
    refuse_newer,
    to_json,
)
from orchestrator.jobs.layout import Root, SubmissionFolder

SCHEMA = 3
"""1 had no resources, no cluster and a number for max_parallel; it is read as what is missing.

In 1 and 2 each job has an allocation to itself.
"""


TICK_S = 1e-3
"""Between two submissions of the same jobs whose order counts."""


def _new_token() -> str:
    return secrets.token_hex(6)


class Submission(Section):
    """One act of handing an ordered list of jobs to a place; a job's position is its index."""

    schema_version: int = SCHEMA
    token: str = Field(default_factory=_new_token)
    created: float = Field(default_factory=time.time)
    executor: str
    jobs: list[str]
    names: list[str]
    """Readable names, for logs and process lists."""
    forms: list[dict[str, Any] | None] = Field(default_factory=list)
    """What the jobs are, see ``jobs.records``; older programs wrote none, but a record of each."""
    placement: Placement
    resources: Resources = Resources()
    cluster: ClusterProfile | None = None
    """The site's facts, where the place is a cluster."""
    ray: RaySite | None = None
    """Which Ray cluster runs it, where Ray does."""
    max_parallel: int | None
    """Members that may run at once; null leaves it to the place."""
    snapshot: str
    """Hash of the code it runs, a folder under ``snapshots/``."""
    python: str
    data_root: str
    owner: str

    @property
    def packed(self) -> bool:
        """Whether several of its jobs run in one allocation of a cluster."""
        return self.cluster is not None and self.resources.jobs_per_allocation > 1

    @property
    def jobs_each(self) -> int:
        """The most jobs at a time in one of its allocations."""
        return self.resources.jobs_per_allocation if self.packed else 1

    @property
    def places(self) -> int:
        """Jobs at a time in one of its allocations: no more than there are, or may run."""
        return min(self.jobs_each, len(self.jobs), self.max_parallel or len(self.jobs))

    @property
    def allocations(self) -> int:
        """What a cluster counts: an allocation a job, or as many as its jobs need at a time."""
        if not self.packed:
            return len(self.jobs)
        needed = allocations_for(len(self.jobs), self.places)
        return min(needed, (self.max_parallel or len(self.jobs) * self.places) // self.places)

    def part(self, first: int, end: int) -> Self:
        """Members ``first`` to ``end`` - 1 as a submission of their own; all of them: itself."""
        if (first, end) == (0, len(self.jobs)):
            return self
        parts = {name: getattr(self, name)[first:end] for name in ("jobs", "names", "forms")}
        return self.model_copy(update={"token": _new_token(), **parts})

    def form(self, index: int) -> dict[str, Any] | None:
        """What a member's job is, if that was written down."""
        return self.forms[index] if self.forms else None

    def under(self, cluster: ClusterProfile | None) -> Self:
        """The same jobs once more, a moment later, under other facts of their site."""
        changes = {"token": _new_token(), "created": self.created + TICK_S, "cluster": cluster}
        return self.model_copy(update=changes)

    @classmethod
    def read(cls, folder: SubmissionFolder) -> Self:
        """What was to be submitted.

        Raises:
            RootError: the intent is damaged, or of a newer version.
        """
        return cls.of(read_record(folder.intent), folder.intent)

    @classmethod
    def of(cls, plain: dict[str, Any], path: Path) -> Self:
        """The submission that a record at ``path`` holds.

        Raises:
            RootError: it is damaged, or of a newer version.
        """
        refuse_newer(path, plain.get("schema_version"), SCHEMA)
        return checked(cls, plain, path)


def allocations_for(jobs: int, each: int) -> int:
    """Allocations that hold so many jobs, ``each`` at a time."""
    return -(-jobs // each)


def write_intent(root: Root, submission: Submission, script: str) -> SubmissionFolder:
    """Say what is about to be submitted, before it is."""
    folder = root.submission(submission.token)
    folder.logs.mkdir(parents=True)
    folder.claimed.mkdir()
    if submission.packed:
        folder.pools.mkdir()
    if submission.packed or submission.ray:
        folder.taken.mkdir()
    publish(folder.script, os.fsencode(script))
    publish(folder.intent, to_json(submission.to_plain()))
    return folder


def write_submitted(folder: SubmissionFolder, handle: str) -> None:
    """The place took it; ``handle`` is the place's name for it."""
    publish_once(folder.submitted, to_json({"handle": handle, "time": time.time()}))


def write_refused(folder: SubmissionFolder, why: str) -> None:
    """The place did not take it; final: its jobs are free, its workers leave."""
    publish_once(folder.refused, to_json({"why": why, "time": time.time()}))


def write_full(folder: SubmissionFolder, why: str) -> None:
    """The place takes no more for now; as final as a refusal, but nothing speaks against its jobs.

    A record without the mark, as older programs wrote them all, is a refusal.
    """
    publish_once(folder.refused, to_json({"why": why, "time": time.time(), "full": True}))


def read_handle(folder: SubmissionFolder) -> str | None:
    """The handle of a submission that was taken and not refused."""
    if folder.refused.exists() or not folder.submitted.exists():
        return None
    try:
        handle: str = read_record(folder.submitted)["handle"]
    except KeyError:
        raise damaged(folder.submitted, "it names no handle") from None
    return handle


def is_open(folder: SubmissionFolder) -> bool:
    """Whether it is not settled if the place took it: its launch was killed, or is still at it."""
    return not folder.submitted.exists() and not folder.refused.exists()


def take(folder: SubmissionFolder, index: int, allocation: int) -> bool:
    """Give a member to an allocation for good; False if another one has it."""
    record = to_json({"schema": SCHEMA, "allocation": allocation})
    return publish_once(folder.taken_mark(index), record)


def taken_by(folder: SubmissionFolder, index: int) -> int | None:
    """The allocation that has a member; None while none has."""
    mark = folder.taken_mark(index)
    try:
        record = read_record(mark)
    except FileNotFoundError:
        return None
    refuse_newer(mark, record.get("schema"), SCHEMA)
    allocation: int = record["allocation"]
    return allocation


def read_taken(folder: SubmissionFolder, but: Collection[int] = ()) -> dict[int, int]:
    """Which allocation has which member; those of which that is known are not read."""
    marked = sorted({int(mark.stem) for mark in folder.taken.glob("[0-9]*.json")} - {*but})
    found = {index: taken_by(folder, index) for index in marked}
    return {index: owner for index, owner in found.items() if owner is not None}


def write_outcomes(folder: SubmissionFolder, outcomes: list[dict[str, Any]]) -> Path:
    """Store ends that were observed, because places forget; the lease holder calls this."""
    content = outcomes_record(outcomes)
    number = len(folder.outcomes()) + 1
    while not publish_once(folder.outcome(number), content):
        number += 1
    return folder.outcome(number)


def outcomes_record(outcomes: list[dict[str, Any]]) -> bytes:
    """The content of a file of ends."""
    return to_json({"schema": SCHEMA, "outcomes": outcomes})


def read_outcomes(folder: SubmissionFolder) -> list[dict[str, Any]]:
    """Every stored end, in the order stored."""
    records = [(path, read_record(path)) for path in folder.outcomes()]
    for path, record in records:
        refuse_newer(path, record.get("schema"), SCHEMA)
    return [outcome for _, record in records for outcome in record.get("outcomes", ())]


def write_absences(folder: SubmissionFolder, since: Mapping[int, float]) -> None:
    """Store since when its place lacks which members; the lease holder calls this."""
    plain = {str(index): asked for index, asked in since.items()}
    publish(folder.absent, to_json({"schema": SCHEMA, "since": plain}))


def read_absences(folder: SubmissionFolder) -> dict[int, float]:
    """Since when, in file time, its place lacks which members."""
    try:
        record = read_record(folder.absent)
    except FileNotFoundError:
        return {}
    refuse_newer(folder.absent, record.get("schema"), SCHEMA)
    since = record.get("since", {})
    return {int(index): asked for index, asked in since.items()}
