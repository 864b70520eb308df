"""Which saved model a user means: by its job, or by where it lies under a run root."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.config import RunConfig
from orchestrator.controller.select import Named, select_one
from orchestrator.errors import RootError, SpecError
from orchestrator.jobs.files import damaged, read_record
from orchestrator.jobs.layout import JobFolder, Root
from orchestrator.jobs.records import read_job
from orchestrator.jobs.store import open_root
from orchestrator.jobs.weights import FILE, META, Saved, saved_in

STATE = "state.pt"
NAMES = (FILE, STATE)
"""Of the file in a folder of weights, and in one of a checkpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A saved model of a job. ``epoch``: complete ones, where it is recorded."""

    file: Path
    job: Named
    folder: JobFolder
    config: RunConfig
    step: int
    epoch: int | None

    def to_plain(self) -> dict[str, object]:
        """As a report says it."""
        told = {"job": self.job.id, "name": self.job.name, "step": self.step, "epoch": self.epoch}
        return {key: value for key, value in told.items() if value is not None}


def find_checkpoint(root_path: Path, text: str) -> Checkpoint:
    """The saved model that ``text`` means.

    A path means itself: a file of weights or of a checkpoint, its folder, ``weights/`` or
    ``checkpoints/`` of a job, or the job's folder; anything else is the name of a job or the
    beginning of its id. Of several the newest is taken, weights before checkpoints.

    Raises:
        SpecError: it means no job, or several.
        RootError: the job has no saved model yet, or what it saved is damaged.
    """
    path = Path(text)
    if path.exists():
        return _at(path.resolve())
    root = open_root(root_path)
    job = select_one(root, text)
    return _of_job(root, job, _newest(root.job(job.id), job.name))


def _at(path: Path) -> Checkpoint:
    """The saved model at a path under a run root."""
    folder = next((p for p in (path, *path.parents) if (p / "job.json").is_file()), None)
    if folder is None or len(folder.parents) < 3:
        raise SpecError(
            f"{path} lies in no job's folder: there is no job.json above it, which says what "
            "architecture it is. For a file of timm's or DeiT's: orchestrate probe timm:NAME "
            "--weights FILE"
        )
    job, within = JobFolder(folder), path.relative_to(folder).parts
    root, named = Root(folder.parents[2]), Named(folder.name, folder.name[:8])
    if len(within) > 1:
        wanted = folder / within[0] / within[1]
        saved = [one for one in saved_in(wanted.parent) if one.path == wanted]
    elif within and within[0] in {"weights", "checkpoints"}:
        saved = saved_in(path)
    else:
        saved = [_newest(job, named.name)]
    if not saved:
        raise SpecError(f"{path} is no saved model; there are: {_there(job)}")
    return _of_job(root, named, saved[-1])


def _newest(job: JobFolder, name: str) -> Saved:
    found = saved_in(job.weights) or saved_in(job.checkpoints)
    if not found:
        raise RootError(
            f"Job {name} has saved no model yet under {job.path}. "
            f"Look at it with: orchestrate status {job.path.name[:8]}"
        )
    return found[-1]


def _there(job: JobFolder) -> str:
    saved: Sequence[Saved] = [*saved_in(job.weights), *saved_in(job.checkpoints)]
    return ", ".join(str(one.path.relative_to(job.path)) for one in saved) or "none"


def _of_job(root: Root, job: Named, saved: Saved) -> Checkpoint:
    file = next((saved.path / name for name in NAMES if (saved.path / name).is_file()), None)
    if file is None:
        raise damaged(saved.path, f"it has no {' or '.join(NAMES)}")
    meta = read_record(saved.path / META)
    with file.open("rb") as content:
        if hashlib.file_digest(content, "sha256").hexdigest() != meta.get("sha256"):
            raise damaged(file, f"its bytes are not those that {META} was written for")
    return Checkpoint(
        file=file,
        job=job,
        folder=root.job(job.id),
        config=read_job(root, job.id),
        step=saved.step,
        epoch=meta.get("epoch"),
    )
