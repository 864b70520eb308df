"""Submissions on disk: the intent comes first, then what the place answered."""

import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, field_serializer

from orchestrator.config import ClusterProfile, Placement, Resources
from orchestrator.config.section import Section
from orchestrator.errors import RootError
from orchestrator.jobs.files import checked, damaged, publish, publish_once, read_record, to_json
from orchestrator.jobs.layout import Root, SubmissionFolder

SCHEMA = 3
"""1 had no resources, no cluster and a number for max_parallel, 2 no ``keep_epochs``; they are read
as what is missing. Where no epoch is kept 2 is written still: a preempted job goes on with the code
that wrote its checkpoint, and that reads no newer one."""


def _new_token() -> str:
    return secrets.token_hex(6)


def _schema(placement: Placement | None) -> int:
    return SCHEMA if placement and placement.keep_epochs else SCHEMA - 1


class Submission(Section):
    """One act of handing an ordered list of jobs to a place; a job's position is its index."""

    token: str = Field(default_factory=_new_token)
    created: float = Field(default_factory=time.time)
    executor: str
    jobs: list[str]
    names: list[str]
    """Readable names, for logs and process lists."""
    placement: Placement
    resources: Resources = Resources()
    cluster: ClusterProfile | None = None
    """The site's facts, where the place is a cluster."""
    max_parallel: int | None
    """Members that may run at once; null leaves it to the place."""
    snapshot: str
    """Hash of the code it runs, a folder under ``snapshots/``."""
    python: str
    data_root: str
    owner: str
    schema_version: int = Field(default_factory=lambda told: _schema(told.get("placement")))

    @field_serializer("placement")
    def _placement(self, placement: Placement) -> dict[str, Any]:
        return placement.to_plain()

    def part(self, first: int, end: int) -> Self:
        """Members ``first`` to ``end`` - 1 as a submission of their own; all of them: itself."""
        if (first, end) == (0, len(self.jobs)):
            return self
        jobs, names = self.jobs[first:end], self.names[first:end]
        return self.model_copy(update={"token": _new_token(), "jobs": jobs, "names": names})

    @classmethod
    def read(cls, folder: SubmissionFolder) -> Self:
        """What was to be submitted.

        Raises:
            RootError: the intent is damaged, or of a newer version.
        """
        plain = read_record(folder.intent)
        found = plain.get("schema_version", SCHEMA)
        if isinstance(found, int) and found > SCHEMA:
            raise RootError(
                f"{folder.intent} has version {found}; this program reads up to {SCHEMA}. "
                "Use the newer program that wrote it."
            )
        return checked(cls, plain, folder.intent)


def write_intent(root: Root, submission: Submission, script: str) -> SubmissionFolder:
    """Say what is about to be submitted, before it is."""
    folder = root.submission(submission.token)
    folder.logs.mkdir(parents=True)
    publish(folder.script, os.fsencode(script))
    publish(folder.intent, to_json(submission.to_plain()))
    return folder


def write_submitted(folder: SubmissionFolder, handle: str) -> None:
    """The place took it; ``handle`` is the place's name for it."""
    publish_once(folder.submitted, to_json({"handle": handle, "time": time.time()}))


def write_refused(folder: SubmissionFolder, why: str) -> None:
    """The place did not take it; final: its jobs are free, its workers leave."""
    publish_once(folder.refused, to_json({"why": why, "time": time.time()}))


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


def write_outcomes(folder: SubmissionFolder, outcomes: list[dict[str, Any]]) -> Path:
    """Store ends that were observed, because places forget; the lease holder calls this."""
    content = to_json({"schema": SCHEMA, "outcomes": outcomes})
    number = len(folder.outcomes()) + 1
    while not publish_once(folder.outcome(number), content):
        number += 1
    return folder.outcome(number)


def read_outcomes(folder: SubmissionFolder) -> list[dict[str, Any]]:
    """Every stored end, in the order stored."""
    return [
        outcome for path in folder.outcomes() for outcome in read_record(path).get("outcomes", ())
    ]


def write_absences(folder: SubmissionFolder, since: Mapping[int, float]) -> None:
    """Store since when its place lacks which members; the lease holder calls this."""
    plain = {str(index): asked for index, asked in since.items()}
    publish(folder.absent, to_json({"schema": SCHEMA, "since": plain}))


def read_absences(folder: SubmissionFolder) -> dict[int, float]:
    """Since when, in file time, its place lacks which members."""
    try:
        since = read_record(folder.absent).get("since", {})
    except FileNotFoundError:
        return {}
    return {int(index): asked for index, asked in since.items()}
