"""Which saved model a user means: by its job, or by where it lies under a run root."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.config import Checkpoint as CheckpointName
from orchestrator.config import RunConfig
from orchestrator.controller.select import Named, select_one
from orchestrator.errors import OrchestrateError, RootError, SpecError
from orchestrator.jobs.facts import Attempt
from orchestrator.jobs.files import damaged, read_record
from orchestrator.jobs.gather import attempts_on
from orchestrator.jobs.layout import JobFolder, Root
from orchestrator.jobs.records import read_trained
from orchestrator.jobs.saved import Saved, saved_in, still_count
from orchestrator.jobs.store import open_root
from orchestrator.jobs.weights import FILE, META, kept_checkpoints, weights_at

STATE = "state.pt"
NAMES = (FILE, STATE)
"""Of the file in a folder of weights, and in one of a checkpoint."""
FOLDERS = ("weights", "checkpoints")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A saved model of a job. ``epoch``: complete ones, where it is recorded.

    ``attempt``: the number of the one that saved it, of ``attempts``.
    """

    file: Path
    root: Root
    job: Named
    attempt: int
    attempts: tuple[Attempt, ...]
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
    beginning of its id. Of several the newest that still counts is taken, weights before
    checkpoints. What lies in no job's folder, and has the name of a job, means the job.

    Raises:
        SpecError: it means no job, or several.
        RootError: the job has no saved model yet, or what it saved is damaged.
    """
    path = Path(text).resolve()
    folder = next((p for p in (path, *path.parents) if (p / "job.json").is_file()), None)
    if path.exists() and folder is not None and len(folder.parents) > 2:
        return _at(path, folder)
    try:
        root = open_root(root_path)
        job = select_one(root, text)
    except OrchestrateError as error:
        if path.exists():
            raise _homeless(path, error) from None
        raise
    return _of_job(root, job, _newest(root, job))


def find_weights(root_path: Path, text: str, checkpoint: CheckpointName) -> Checkpoint:
    """The weights that ``checkpoint`` means of the job that ``text`` means.

    Raises:
        SpecError: it means no job, or several.
        RootError: the job has kept no such weights, or they are damaged.
    """
    root = open_root(root_path)
    job = select_one(root, text)
    folder, attempts = root.job(job.id), attempts_on(root, [job.id])[job.id]
    path = weights_at(folder, attempts, checkpoint)
    if path is None:
        kept = ", ".join(map(str, kept_checkpoints(folder, attempts))) or "none yet"
        raise RootError(
            f"Job {job.name} has no weights of checkpoint {checkpoint} (kept: {kept}). Ask for one "
            f"of these; epochs are kept by placement.keep_epochs, the last one's weights once the "
            f"job is done (see: orchestrate status {job.id[:8]})."
        )
    saved = next(one for one in saved_in(path.parent) if one.path == path)
    return _of_job(root, job, saved)


def _homeless(path: Path, why_no_job: OrchestrateError) -> SpecError:
    return SpecError(
        f"{path} lies in no job's folder: there is no job.json above it, which says what "
        "architecture it is. For a file of timm's or DeiT's: orchestrate probe timm:NAME "
        f"--weights FILE. Nor is it a job by its name: {why_no_job}"
    )


def _at(path: Path, folder: Path) -> Checkpoint:
    """The saved model at a path in a job's folder under a run root."""
    job, within = JobFolder(folder), path.relative_to(folder).parts
    root, named = Root(folder.parents[2]), Named(folder.name, folder.name[:8])
    if len(within) > 1:
        wanted = folder / within[0] / within[1]
        there = saved_in(wanted.parent) if within[0] in FOLDERS else []
        saved = [one for one in there if one.path == wanted]
    elif within and within[0] in FOLDERS:
        saved = still_count(saved_in(path), attempts_on(root, [job.path.name])[job.path.name])
    else:
        saved = [_newest(root, named)]
    if not saved:
        raise SpecError(f"{path} is no saved model; there are: {_there(job)}")
    return _of_job(root, named, saved[-1])


def _newest(root: Root, job: Named) -> Saved:
    folder, attempts = root.job(job.id), attempts_on(root, [job.id])[job.id]
    for saved in (folder.weights, folder.checkpoints):
        if found := still_count(saved_in(saved), attempts):
            return found[-1]
    left = _there(folder)
    raise RootError(
        f"Job {job.name} has saved no model yet under {folder.path} (what is there and counts no "
        f"more: {left}). Look at it with: orchestrate status {job.id[:8]}"
    )


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
    config = read_trained(root, job.id)
    assert config is not None  # whoever saved a model has trained it
    return Checkpoint(
        file=file,
        root=root,
        job=job,
        attempt=saved.attempt,
        attempts=attempts_on(root, [job.id])[job.id],
        folder=root.job(job.id),
        config=config,
        step=saved.step,
        epoch=meta.get("epoch"),
    )
