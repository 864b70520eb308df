"""The user's own package that a checkpoint's model is of: found, and loaded."""

from collections.abc import Iterator
from pathlib import Path

from model.variants import package_of
from orchestrator.controller.checkpoints import Checkpoint
from orchestrator.errors import RootError
from orchestrator.jobs.code import is_package
from orchestrator.jobs.packages import packages_of_sweep
from orchestrator.jobs.store import newest_revision
from orchestrator.jobs.submissions import Submission
from orchestrator.sweep.packages import load_package


def load_own_code(found: Checkpoint) -> dict[str, str]:
    """Load the package of the model's attention variant; for a report, its name and where it was.

    The snapshot that trained the checkpoint is the truth. Where that is gone, the folder counts
    that a sweep with this job lists, as it is now, and the report says so. Nothing is loaded, and
    nothing told, of a built-in variant.

    Raises:
        RootError: the package is in neither.
        SpecError: it cannot be imported, or has no such variants.
    """
    attention = found.config.model.attention
    package = package_of(attention)
    if not package:
        return {}
    tried = []
    for folder, source in (*_snapshot(found, package), *_folders(found, package)):
        if is_package(folder):
            load_package(folder, as_workers_do=True)
            return {"package": package, "package_from": source}
        tried.append(str(folder))
    raise RootError(
        f"The model of job {found.job.name} has attention {attention}, but its package {package} "
        f"is gone: looked for {', '.join(tried) or 'a snapshot and a sweep that has it'}. Put it "
        "back there, or launch its sweep with the folder under packages."
    )


def _snapshot(found: Checkpoint, package: str) -> Iterator[tuple[Path, str]]:
    """The copy that the attempt was trained with which saved the checkpoint."""
    token = next((a.start.token for a in found.attempts if a.number == found.attempt), "")
    submission = found.root.submission(token)
    if token and submission.intent.is_file():
        name = Submission.read(submission).snapshot
        yield found.root.snapshots / name / package, f"snapshot {name}, which trained it"


def _folders(found: Checkpoint, package: str) -> Iterator[tuple[Path, str]]:
    """Those of the sweeps whose newest revision has the job."""
    for sweep in found.root.sweep_names():
        newest = newest_revision(found.root, sweep)
        if newest and any(job["id"] == found.job.id for job in newest[1]["jobs"]):
            folder = packages_of_sweep(found.root, sweep).get(package)
            if folder:
                yield folder, f"{folder} as it is now; the snapshot that trained it is gone"
