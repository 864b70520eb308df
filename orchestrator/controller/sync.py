"""The verb sync: what the sweeps of a root have measured, brought into MLflow."""

import os
from collections.abc import Sequence
from pathlib import Path

from orchestrator.controller.select import SHORT_ID
from orchestrator.controller.survey import Survey, survey
from orchestrator.errors import SpecError
from orchestrator.jobs.layout import Root
from orchestrator.jobs.store import launched_revision, sweep_names
from orchestrator.mirror.projection import Subject
from orchestrator.mirror.sync import Synced, sync

NETWORK = ("nfs", "lustre", "gpfs", "beegfs", "cifs", "smb", "ceph", "afs", "9p", "fuse.sshfs")
"""Beginnings of the names of file systems on which SQLite is not safe."""


def sync_sweeps(root: Root, names: Sequence[str], uri: str) -> Synced:
    """Show these sweeps' jobs, each in its study's experiment.

    Raises:
        SpecError: no sweep or study is called so.
        StoreError: the store did not take it.
    """
    studies = studies_of(root, names)
    found = survey(root, [job for jobs in studies.values() for job in jobs])
    return sync(root, uri, {s: subjects(found, jobs) for s, jobs in studies.items()})


def studies_of(root: Root, names: Sequence[str]) -> dict[str, dict[str, list[tuple[str, str]]]]:
    """Of the named studies, or those of the named sweeps: jobs, with sweep and name in each.

    All of a study's sweeps belong to it: a job's tags name every one that has it.

    Raises:
        SpecError: nothing is called so.
    """
    revisions = {sweep: launched_revision(root, sweep) for sweep in sweep_names(root)}
    known = {*revisions, *(revision["study"] for revision in revisions.values())}
    if unknown := [name for name in names if name not in known]:
        raise SpecError(
            f"No study or sweep '{unknown[0]}' was launched under {root.path}. "
            f"There are: {', '.join(sorted(known)) or 'none'}"
        )
    studies: dict[str, dict[str, list[tuple[str, str]]]] = {}
    wanted = {
        revision["study"]
        for sweep, revision in revisions.items()
        if not names or {sweep, revision["study"]} & set(names)
    }
    for sweep, revision in revisions.items():
        if revision["study"] in wanted:
            jobs = studies.setdefault(revision["study"], {})
            for job in revision["jobs"]:
                jobs.setdefault(job["id"], []).append((sweep, job["name"]))
    return studies


def subjects(found: Survey, jobs: dict[str, list[tuple[str, str]]]) -> list[Subject]:
    """The jobs of a study as what is to be shown."""
    return [
        Subject(
            name=f"{places[0][1]} {job[:SHORT_ID]}",
            sweeps=tuple(sweep for sweep, _ in places),
            facts=found.facts[job],
            status=found.statuses[job],
        )
        for job, places in jobs.items()
    ]


def locate_store(root: Root, asked: str | None) -> str:
    """The store's URI: ``asked``, else $MLFLOW_TRACKING_URI, else a SQLite file of this root.

    That file is beside the journals, or on this machine's own disk where they are on a network
    file system, on which SQLite loses data.
    """
    named = asked or os.environ.get("MLFLOW_TRACKING_URI")
    if named:
        return named
    folder = root.path / "mlflow"
    if _file_system(root.path).startswith(NETWORK):
        folder = Path(f"/var/tmp/orchestrate-{os.getuid()}") / root.id()  # noqa: S108
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return f"sqlite:///{folder / 'mlflow.db'}"


def _file_system(path: Path) -> str:
    """The kind of file system that holds ``path``."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    over = [(len(where), kind) for where, kind in mounts if path.resolve().is_relative_to(where)]
    return max(over)[1] if over else ""
