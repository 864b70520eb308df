"""The weights alone, published whole by rename: after epochs that are kept, and at a job's end."""

import hashlib
import io
from collections.abc import Mapping

import torch
from torch import Tensor

from orchestrator.jobs.files import publishing_folder, remove, to_json
from orchestrator.jobs.layout import AttemptFolder, JobFolder
from orchestrator.jobs.saved import saved_in
from orchestrator.jobs.weights import FILE, META

SCHEMA = 1


def save(
    job: JobFolder, attempt: AttemptFolder, step: int, epoch: int, model: Mapping[str, Tensor]
) -> None:
    """Publish a model's state as the weights after ``step`` steps and ``epoch`` whole epochs.

    Other attempts' weights of this step and of later ones go: this one resumed below them.
    """
    target = job.weights / f"{attempt.number:03d}-{step:09d}"
    if target.is_dir():
        return
    buffer = io.BytesIO()
    torch.save({name: value.cpu() for name, value in model.items()}, buffer)
    content = buffer.getvalue()
    digest = hashlib.sha256(content).hexdigest()
    meta = {"schema": SCHEMA, "step": step, "epoch": epoch, "sha256": digest}
    with publishing_folder(target) as folder:
        (folder / FILE).write_bytes(content)
        (folder / META).write_bytes(to_json(meta))
    for one in saved_in(job.weights):
        if one.step >= step and one.path != target:
            remove(one.path)
