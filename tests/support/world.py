"""A root whose jobs a test starts, ends and removes at will, and the rows shown of them."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from fakes.place import FakePlace, attempt, recorded
from fakes.slurm import submission

from orchestrator.controller.select import Named
from orchestrator.controller.status import Row, look_at, rows_of
from orchestrator.controller.survey import survey
from orchestrator.jobs.facts import End, Ending
from orchestrator.jobs.files import publish, to_json
from orchestrator.jobs.journal import Header, JournalWriter
from orchestrator.jobs.layout import AttemptFolder
from orchestrator.jobs.store import create_root
from orchestrator.jobs.submissions import (
    Submission,
    write_intent,
    write_outcomes,
    write_submitted,
)

JOBS = ("ab01", "ab02", "cd03")
OVER = End(2e9, started=True, exit_code=0)


class World:
    """A root whose jobs are called as their ids, and a place that says what it is told."""

    def __init__(self, folder: Path, place: FakePlace, jobs: tuple[str, ...] = JOBS) -> None:
        self.root, self.place, self.jobs = create_root(folder / "runs"), place, jobs
        self.submissions: list[Submission] = []
        self.launch(*jobs)

    def launch(self, *jobs: str, answered: bool = True) -> Submission:
        """A verb that looks, writes records and submits, and may be killed before the answer."""
        survey(self.root, jobs)
        recorded(self.root, *jobs)
        one = submission(*jobs, executor="fake")
        write_intent(self.root, one, "")
        if answered:
            write_submitted(self.root.submission(one.token), "h")
        self.submissions.append(one)
        return one

    def start(self, job: str, from_step: int | None = None, **more: Any) -> AttemptFolder:
        """A start of the job's newest member that measures ten steps."""
        one = next(one for one in reversed(self.submissions) if job in one.jobs)
        number = (self.root.job(job).attempt_numbers() or [0])[-1] + 1
        folder = attempt(self.root, job, one, number, **more)
        with JournalWriter(folder.journal, Header(job, number, from_step, 100)) as journal:
            for step in range(11):
                at = step + (from_step or 0)
                journal.point(at, at // 10, {"val/top1": at + number / 10})
        return folder

    def end(self, folder: AttemptFolder, ending: Ending = Ending.FINISHED) -> None:
        publish(folder.exit, to_json({"end": ending.value, "time": time.time(), "step": 10}))

    def store_end(self, one: Submission, job: str, end: End = OVER) -> None:
        plain = {name: getattr(end, name) for name in End.__slots__}
        folder = self.root.submission(one.token)
        write_outcomes(folder, [{"index": one.jobs.index(job), **plain}])

    def finish(self, *jobs: str) -> None:
        """The jobs' newest members train them to the end."""
        for job in jobs:
            self.end(self.start(job))
            self.store_end(next(s for s in reversed(self.submissions) if job in s.jobs), job)

    def rows(self) -> list[Row]:
        jobs = [Named(job, job) for job in self.jobs]
        rows = rows_of(self.root, jobs, look_at(self.root, jobs))
        return [replace(row, stale_s=None, eta_s=None) for row in rows]

    def remembered(self) -> set[str]:
        return set(survey(self.root, self.jobs).settled)

    def check(self) -> list[Row]:
        """The rows as the file has them are those that are read anew."""
        with_it = self.rows()
        kept = self.root.settled.read_bytes() if self.root.settled.exists() else None
        self.root.settled.unlink(missing_ok=True)
        anew = self.rows()
        if kept is not None:
            publish(self.root.settled, kept)

        assert with_it == anew
        return anew
