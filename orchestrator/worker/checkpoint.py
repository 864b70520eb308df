"""Checkpoints: published whole by rename, checked by hash, the newest sound one is resumed."""

import hashlib
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from orchestrator.jobs.facts import read_attempts
from orchestrator.jobs.files import (
    discard,
    naming,
    publishing_folder,
    refuse_newer,
    remove,
    to_json,
)
from orchestrator.jobs.layout import AttemptFolder, JobFolder
from orchestrator.jobs.saved import saved_in, saved_name, still_count
from orchestrator.worker.stability import Course, Window

SCHEMA = 2
KEPT = 2
STATE, META = "state.pt", "meta.json"


def save(job: JobFolder, attempt: AttemptFolder, step: int, state: Mapping[str, Any]) -> None:
    """Publish ``state`` as the checkpoint of ``step``; it and the one before it are kept.

    Others go, too, that are beyond the step from which an attempt resumed: they are damaged, or of
    a course that was left.
    """
    target = job.checkpoints / saved_name(attempt.number, step)
    if target.is_dir():
        return
    with publishing_folder(target) as folder:
        digest = write_tensors(folder / STATE, state)
        meta = {"schema": SCHEMA, "step": step, "sha256": digest}
        (folder / META).write_bytes(to_json(meta))
    published = saved_in(job.checkpoints)
    counted = still_count(published, read_attempts(job))
    kept = [one for one in counted if one.step <= step][-KEPT:]
    for one in published:
        if one not in kept:
            remove(one.path)


def write_tensors(path: Path, state: Mapping[str, Any]) -> str:
    """Write what ``torch.load`` reads with ``weights_only``; returns the file's SHA-256."""
    with naming(path), path.open("xb") as file:
        hashed = _Hashed(file)
        try:
            torch.save(state, hashed)  # type: ignore[arg-type]  # it asks for no more than write
        except RuntimeError as error:  # on its way out of what a write raised
            raise hashed.fault or error from None
        return str(hashed.digest.hexdigest())


def load_newest(job: JobFolder, discarded: int = 0) -> dict[str, Any] | None:
    """The newest sound checkpoint's state, on the CPU; damaged ones are passed over, aloud.

    Of the attempts those count that `still_count` keeps, and not those up to number ``discarded``.

    Raises:
        RootError: it is of a newer version: to go on from an older one would lose what it holds.
    """
    counted = still_count(saved_in(job.checkpoints), read_attempts(job, discarded))
    for one in reversed(counted):
        folder = one.path
        if one.attempt <= discarded:  # its attempt's folder may be gone
            continue
        try:
            meta = json.loads((folder / META).read_bytes())
            wanted, schema = meta["sha256"], meta.get("schema", 1)
            refuse_newer(folder / META, schema, SCHEMA)
            content = (folder / STATE).read_bytes()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            print(f"warning: checkpoint {folder} cannot be read ({error}); trying an older one")
            continue
        if hashlib.sha256(content).hexdigest() != wanted:
            print(f"warning: checkpoint {folder} is damaged; trying an older one")
            continue
        state: dict[str, Any] = torch.load(
            io.BytesIO(content), map_location="cpu", weights_only=True
        )
        return state if schema == SCHEMA else _of_schema_1(state)
    return None


def clear_leftovers(job: JobFolder) -> None:
    """Remove what killed attempts left half written; only the owner of the job may."""
    for folder in (job.checkpoints, job.weights, job.best, job.probes, job.predictions):
        for path in folder.glob(".tmp-*"):
            discard(path)


def copied(value: Any, copy: Callable[[Tensor], Tensor]) -> Any:
    """A state of nested dicts, lists and tuples with each tensor replaced by its copy."""
    if isinstance(value, Tensor):
        return copy(value)
    if isinstance(value, Mapping):
        return {key: copied(each, copy) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(copied(each, copy) for each in value)
    return value


@dataclass(slots=True)
class _Hashed:
    """A file that is written from the start to the end, and what its hash is so far."""

    file: BinaryIO
    digest: Any = field(default_factory=hashlib.sha256)
    fault: OSError | None = None

    def write(self, content: bytes) -> int:
        self.digest.update(content)
        try:
            return self.file.write(content)
        except OSError as error:
            self.fault = error
            raise

    def flush(self) -> None:
        self.file.flush()


def _of_schema_1(state: dict[str, Any]) -> dict[str, Any]:
    """A state of version 1, which knew of a run's course its window and the count of bad steps."""
    course = Course(window=Window(*state.pop("window")), nonfinite=state["nonfinite"])
    course.longest_nonfinite = state.pop("nonfinite")
    return {**state, "course": course.to_plain(), "best": float("-inf")}
