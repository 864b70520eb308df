"""Checkpoints and weights as a worker leaves them, without torch."""

import hashlib
import os
import time
from pathlib import Path

from orchestrator.jobs.files import publish, to_json
from orchestrator.jobs.layout import JobFolder, Root
from orchestrator.jobs.weights import FILE, META

STATE = b"weights, moments" * 64
WEIGHTS = b"weights" * 32
OLD_CODE = "0123456789abcdef"
"""A snapshot that nothing names."""


def leave_state(job: JobFolder, attempt: int, step: int) -> Path:
    return _leave(job.checkpoints / f"{attempt:03d}-{step:09d}", "state.pt", STATE)


def leave_weights(job: JobFolder, attempt: int, step: int) -> Path:
    return _leave(job.weights / f"{attempt:03d}-{step:09d}", FILE, WEIGHTS)


def leave_snapshot(root: Root, name: str = OLD_CODE) -> Path:
    publish(root.snapshots / name / "model" / "vit.py", b"pass\n")
    return root.snapshots / name


def leave_half(folder: Path, days: float = 2.0, name: str = ".tmp-half") -> Path:
    """What a killed writer left so long ago."""
    publish(folder / name / "file", b"half")
    return aged(folder / name, days)


def aged(path: Path, days: float) -> Path:
    os.utime(path, (time.time() - 86400 * days,) * 2)
    return path


def _leave(folder: Path, name: str, content: bytes) -> Path:
    digest = hashlib.sha256(content).hexdigest()
    publish(folder / name, content)
    publish(folder / META, to_json({"schema": 1, "sha256": digest}))
    return folder
