"""Rank 0's pen: journal, probes, checkpoints, weights; silent once a later attempt stands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor

from orchestrator.jobs.files import publish
from orchestrator.jobs.journal import Header, JournalWriter
from orchestrator.jobs.layout import AttemptFolder, JobFolder
from orchestrator.jobs.predictions import predictions_file
from orchestrator.jobs.probes import probe_file
from orchestrator.worker import checkpoint, weights
from orchestrator.worker.background import Background
from orchestrator.worker.device import arrived, held
from orchestrator.worker.records import leave_if_superseded


@dataclass(slots=True)
class Scribe:
    """What a running attempt writes about its training; the other ranks have none.

    Weights and states are copied while the caller waits, and written after it goes on, in the
    order in which they came; ``wait`` returns once they are there.
    """

    job: JobFolder
    attempt: AttemptFolder
    journal: JournalWriter
    device: torch.device
    background: Background = field(default_factory=Background)

    @classmethod
    def open(
        cls,
        job: JobFolder,
        attempt: AttemptFolder,
        device: torch.device,
        *,
        from_step: int | None,
        steps: int,
    ) -> Self:
        """Start the journal; ``from_step`` None says that nothing is resumed."""
        checkpoint.clear_leftovers(job)
        header = Header(job.path.name, attempt.number, from_step, steps)
        return cls(job, attempt, JournalWriter(attempt.journal, header), device)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failed: type[BaseException] | None, *rest: object) -> None:
        with self.journal:
            self.background.__exit__(failed, *rest)

    def point(self, step: int, epoch: int, metrics: Mapping[str, float]) -> None:
        self.journal.point(step, epoch, metrics)

    def arrays(self, step: int, content: bytes) -> None:
        leave_if_superseded(self.job, self.attempt)
        publish(probe_file(self.job.probes, self.attempt.number, step), content)

    def answers(self, step: int, content: bytes) -> None:
        """Keep predictions; after the checkpoints before them, which drop those of other steps."""
        path = predictions_file(self.job.predictions, self.attempt.number, step)
        self._later(content, partial(publish, path))

    def weights(self, step: int, epoch: int, model: Mapping[str, Tensor]) -> None:
        """Keep the model for good."""
        self._later(model, partial(weights.save, self.job, self.attempt, step, epoch))

    def best(self, step: int, epoch: int, model: Mapping[str, Tensor]) -> None:
        """Keep the model as the best so far."""
        self._later(model, partial(weights.save_best, self.job, self.attempt, step, epoch))

    def checkpoint(self, step: int, state: Mapping[str, Any]) -> None:
        """Publish the state, after the journal up to it is durable."""

        def save(copy: Mapping[str, Any]) -> None:
            self.journal.sync()
            checkpoint.save(self.job, self.attempt, step, copy)
            weights.drop_beaten(self.job, step)

        self._later(state, save)

    def wait(self) -> None:
        """Return once everything is written.

        Raises:
            OSError: something could not be.
        """
        self.background.wait()

    def _later(self, state: Any, write: Callable[[Any], None]) -> None:
        """Copy the state now, and write the copy when its turn has come."""
        copy = checkpoint.copied(state, held)
        there = arrived(self.device)

        def run() -> None:
            if there is not None:
                there.synchronize()
            leave_if_superseded(self.job, self.attempt)
            write(copy)

        self.background.give(run)
