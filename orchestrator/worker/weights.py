"""The weights alone: epochs that are kept, the last, the best; published whole, and read."""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from safetensors.torch import save as save_safetensors
from torch import Tensor

from orchestrator.jobs.facts import read_attempts
from orchestrator.jobs.files import (
    damaged,
    publishing_folder,
    read_record,
    refuse_newer,
    remove,
    to_json,
)
from orchestrator.jobs.layout import AttemptFolder, JobFolder
from orchestrator.jobs.saved import saved_in, saved_name, still_count
from orchestrator.jobs.weights import FILE, META
from orchestrator.worker.checkpoint import write_tensors

SCHEMA = 1


def save(
    job: JobFolder, attempt: AttemptFolder, step: int, epoch: int, model: Mapping[str, Tensor]
) -> None:
    """Publish a model's state as the weights after ``step`` steps and ``epoch`` whole epochs.

    Other attempts' weights of this step and of later ones go: this one resumed below them.
    """
    target = _publish(job.weights, attempt, step, epoch, model)
    _remove_from(job.weights, step, target)


def save_best(
    job: JobFolder, attempt: AttemptFolder, step: int, epoch: int, model: Mapping[str, Tensor]
) -> None:
    """Publish the weights of the best epoch so far, beside those of the best one before it.

    That one stays until a checkpoint knows the new best (`drop_beaten`): whoever resumes from an
    earlier one might never get there again. Others that no checkpoint knows go.
    """
    target = _publish(job.best, attempt, step, epoch, model)
    known = max((one.step for one in saved_in(job.checkpoints) if one.step < step), default=-1)
    _remove_from(job.best, known + 1, target)


def drop_beaten(job: JobFolder, step: int) -> None:
    """Once a checkpoint of ``step`` stands: of the best up to it the newest stays, and no other.

    Predictions stay of that step, and of the newest: the last epoch's, if it is not the best. Of a
    course that was left nothing stays.
    """
    attempts = read_attempts(job)
    best, answers = saved_in(job.best), saved_in(job.predictions)
    kept, told = (
        [one for one in still_count(found, attempts) if one.step <= step]
        for found in (best, answers)
    )
    steps = {one.step for one in (*kept[-1:], *told[-1:])}
    stay = [*kept[-1:], *(one for one in told if one.step in steps)]
    for one in [*best, *answers]:
        if one not in stay:
            remove(one.path)


def _publish(
    parent: Path, attempt: AttemptFolder, step: int, epoch: int, model: Mapping[str, Tensor]
) -> Path:
    target = parent / saved_name(attempt.number, step)
    if not target.is_dir():
        with publishing_folder(target) as folder:
            digest = write_tensors(folder / FILE, dict(model))
            meta = {"schema": SCHEMA, "step": step, "epoch": epoch, "sha256": digest}
            (folder / META).write_bytes(to_json(meta))
    return target


def _remove_from(parent: Path, step: int, kept: Path) -> None:
    for one in saved_in(parent):
        if one.step >= step and one.path != kept:
            remove(one.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """A model's state on the CPU, after ``step`` steps and ``epoch`` whole epochs."""

    state: Mapping[str, Tensor]
    step: int
    epoch: int
    sha256: str
    """Of the file that held it."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """What was published in ``folder``.

        Raises:
            RootError: it is damaged, or of a newer version.
        """
        meta = read_record(folder / META)
        refuse_newer(folder / META, meta.get("schema"), SCHEMA)
        content = (folder / FILE).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if digest != meta.get("sha256"):
            raise damaged(folder / FILE, f"its bytes are not those that {META} was written for")
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        return cls(state=state, step=meta["step"], epoch=meta["epoch"], sha256=digest)

    def exported(self, name: str) -> bytes:
        """A file of the tensors alone: of safetensors if its name ends so, else of torch.save."""
        tensors = {key: value.contiguous() for key, value in self.state.items()}
        if name.endswith(".safetensors"):
            return save_safetensors(tensors)
        buffer = io.BytesIO()
        torch.save(tensors, buffer)
        return buffer.getvalue()
