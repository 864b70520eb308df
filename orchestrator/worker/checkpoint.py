"""Checkpoints: published whole by rename, checked by hash, the newest sound one is resumed."""

import hashlib
import io
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from orchestrator.jobs.facts import read_journals
from orchestrator.jobs.files import is_temporary, publishing_folder, to_json
from orchestrator.jobs.layout import AttemptFolder, JobFolder

SCHEMA = 1
KEPT = 2
STATE, META = "state.pt", "meta.json"


def save(job: JobFolder, attempt: AttemptFolder, step: int, state: Mapping[str, Any]) -> None:
    """Publish ``state`` as the checkpoint of ``step``; it and the one before it are kept.

    Those of later steps go, too: this attempt resumed below them, so they are damaged or belong to
    a course that was left.
    """
    target = job.checkpoints / f"{attempt.number:03d}-{step:09d}"
    if target.is_dir():
        return
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    meta = {"schema": SCHEMA, "step": step, "sha256": hashlib.sha256(content).hexdigest()}
    with publishing_folder(target) as folder:
        (folder / STATE).write_bytes(content)
        (folder / META).write_bytes(to_json(meta))
    published = _newest_first(job)
    kept = [path for path in published if _step_and_attempt(path)[0] <= step][:KEPT]
    for path in published:
        if path not in kept:
            _remove(path)


def load_newest(job: JobFolder, discarded: int = 0) -> dict[str, Any] | None:
    """The newest sound checkpoint's state, on the CPU; damaged ones are passed over, aloud.

    Like a journal's points, a checkpoint counts only if no later attempt resumed below its step: an
    attempt that was believed dead may have published it late. Those of attempts up to number
    ``discarded`` do not count.
    """
    journals = read_journals(job)
    for folder in _newest_first(job):
        step, attempt = _step_and_attempt(folder)
        left = any(later.attempt > attempt and step > later.start for later in journals)
        if left or attempt <= discarded:
            continue
        try:
            wanted = json.loads((folder / META).read_bytes())["sha256"]
            content = (folder / STATE).read_bytes()
        except (OSError, ValueError, KeyError, TypeError) as error:
            print(f"warning: checkpoint {folder} cannot be read ({error}); trying an older one")
            continue
        if hashlib.sha256(content).hexdigest() != wanted:
            print(f"warning: checkpoint {folder} is damaged; trying an older one")
            continue
        state: dict[str, Any] = torch.load(
            io.BytesIO(content), map_location="cpu", weights_only=True
        )
        return state
    return None


def clear_leftovers(job: JobFolder) -> None:
    """Remove what killed attempts left half written; only the owner of the job may."""
    for folder in (job.checkpoints, job.probes):
        for path in folder.glob(".tmp-*"):
            _remove(path)


def _newest_first(job: JobFolder) -> list[Path]:
    if not job.checkpoints.is_dir():
        return []
    found = list(job.checkpoints.glob("[0-9]*-[0-9]*"))
    return sorted(found, key=_step_and_attempt, reverse=True)


def _step_and_attempt(path: Path) -> tuple[int, int]:
    attempt, step = path.name.split("-")
    return int(step), int(attempt)


def _remove(path: Path) -> None:
    """Rename first, so that a half-removed folder never looks like a checkpoint."""
    if path.is_dir() and not is_temporary(path):
        path = path.rename(path.with_name(f".tmp-old-{path.name}"))
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
