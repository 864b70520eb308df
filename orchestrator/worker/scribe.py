"""Rank 0's pen: journal, probes, checkpoints, weights; silent once a later attempt stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor

from orchestrator.jobs.files import publish
from orchestrator.jobs.journal import Header, JournalWriter
from orchestrator.jobs.layout import AttemptFolder, JobFolder
from orchestrator.jobs.probes import probe_file
from orchestrator.worker import checkpoint, weights
from orchestrator.worker.records import leave_if_superseded


@dataclass(slots=True)
class Scribe:
    """What a running attempt writes about its training; the other ranks have none."""

    job: JobFolder
    attempt: AttemptFolder
    journal: JournalWriter

    @classmethod
    def open(
        cls, job: JobFolder, attempt: AttemptFolder, *, from_step: int | None, steps: int
    ) -> Self:
        """Start the journal; ``from_step`` None says that nothing is resumed."""
        checkpoint.clear_leftovers(job)
        header = Header(job.path.name, attempt.number, from_step, steps)
        return cls(job, attempt, JournalWriter(attempt.journal, header))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.journal.close()

    def point(self, step: int, epoch: int, metrics: Mapping[str, float]) -> None:
        self.journal.point(step, epoch, metrics)

    def arrays(self, step: int, content: bytes) -> None:
        leave_if_superseded(self.job, self.attempt)
        publish(probe_file(self.job.probes, self.attempt.number, step), content)

    def weights(self, step: int, epoch: int, model: Mapping[str, Tensor]) -> None:
        leave_if_superseded(self.job, self.attempt)
        weights.save(self.job, self.attempt, step, epoch, model)

    def checkpoint(self, step: int, state: Mapping[str, Any]) -> None:
        """Publish the state, after the journal up to it is durable."""
        self.journal.sync()
        leave_if_superseded(self.job, self.attempt)
        checkpoint.save(self.job, self.attempt, step, state)
