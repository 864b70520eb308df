"""A place that says what a test tells it to, and attempts that it never ran."""

import time
from collections.abc import Collection, Sequence
from typing import Any, Self

import pytest

from orchestrator.config import RunConfig
from orchestrator.errors import Unclear
from orchestrator.executors import EXECUTORS
from orchestrator.executors.base import Admission, Observation
from orchestrator.jobs import damage
from orchestrator.jobs.evidence import Sighting
from orchestrator.jobs.facts import Ending
from orchestrator.jobs.files import publish, to_json
from orchestrator.jobs.layout import AttemptFolder, Root
from orchestrator.jobs.records import write_job
from orchestrator.jobs.submissions import Submission

ELSEWHERE = "node7:b:12:34"
CONFIG = RunConfig.from_plain({"data": {"name": "digits"}})
here: "FakePlace"
"""The place that this module's name in ``EXECUTORS`` stands for now."""


class FakePlace:
    """Executor "fake": takes everything, and sees what is put into ``seen``.

    While it is there jobs may have names of any kind for ids.
    """

    interval_s = 1.0

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: dict[tuple[str, int], Sighting] = {}
        self.troubles: tuple[str, ...] = ()
        self.known: dict[str, str] | None = {}
        """Handles by token; None: it does not answer."""
        self.cancelled: list[tuple[str, int]] = []
        self.submissions: list[Submission] = []
        monkeypatch.setattr(damage, "is_of", lambda job, record: record["id"] == job)
        monkeypatch.setitem(EXECUTORS, "fake", f"{__name__}:here")
        monkeypatch.setitem(globals(), "here", self)

    def __call__(self, _: Root) -> Self:
        return self

    def observe(self, _: Sequence[Submission]) -> Observation:
        return Observation(dict(self.seen), self.troubles)

    def find(self, tokens: Collection[str]) -> dict[str, str]:
        if self.known is None:
            raise Unclear("no answer from the fake place")
        return {token: self.known[token] for token in tokens if token in self.known}

    def cancel(self, members: Collection[tuple[str, int]]) -> list[str]:
        self.cancelled += members
        return []

    def admit(
        self,
        submissions: Sequence[Submission],
        *,
        under_way: int,  # noqa: ARG002
        reserved: int,  # noqa: ARG002
        gpus: int,  # noqa: ARG002
    ) -> Admission:
        if self.known is None:
            raise Unclear("no answer from the fake place")
        return Admission(tuple(submissions))

    def render(self, _: Submission) -> str:
        return "#!/bin/sh\n"

    def submit(self, submission: Submission) -> str:
        self.submissions.append(submission)
        return f"h-{submission.token}"

    def member_handle(self, handle: str, token: str, index: int) -> str:  # noqa: ARG002
        return f"{handle}/{index}"


def recorded(root: Root, *jobs: str) -> None:
    """The jobs' records, all of one configuration."""
    for job in jobs:
        write_job(root, job, CONFIG)


def attempt(
    root: Root,
    job: str,
    one: Submission,
    number: int = 1,
    ending: Ending | None = None,
    **more: Any,
) -> AttemptFolder:
    """A start of the job as member 0, on a machine that cannot be seen; live unless it ended."""
    folder = root.job(job).attempt(number)
    if root.submission(one.token).claimed.is_dir():
        root.submission(one.token).claim_mark(one.jobs.index(job)).touch()
    told = {"token": one.token, "index": one.jobs.index(job), "restart": 0, "code_hash": "c0de"}
    where = {"time": time.time(), "process": ELSEWHERE, "host": "node7"}
    publish(folder.started, to_json({**told, **where, **more}))
    if ending:
        publish(folder.exit, to_json({"end": ending.value, "time": time.time()}))
    return folder
