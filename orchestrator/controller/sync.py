"""The verb sync: what the sweeps of a root have measured, brought into MLflow."""

import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.controller.select import SHORT_ID
from orchestrator.controller.survey import Survey, survey
from orchestrator.errors import SpecError
from orchestrator.jobs.files import read_record
from orchestrator.jobs.identity import flatten
from orchestrator.jobs.layout import Root
from orchestrator.jobs.store import launched_revision, sweep_names
from orchestrator.mirror.projection import Study, Subject
from orchestrator.mirror.sync import Synced, sync

NETWORK = ("nfs", "lustre", "gpfs", "beegfs", "cifs", "smb", "ceph", "afs", "9p", "fuse.sshfs")
"""Beginnings of the names of file systems on which SQLite is not safe."""


ABSENT = "(absent)"


@dataclass(frozen=True, slots=True)
class Plan:
    """A study as its sweeps' newest revisions have it.

    ``jobs``: each with its sweeps and its name in them; ``arms``: the number of each job's point
    but for the seed; ``axes``: the configuration keys that vary, and whether every job has each.
    """

    study: str
    jobs: Mapping[str, Sequence[tuple[str, str]]]
    arms: Mapping[str, int]
    axes: Mapping[str, bool]
    note: str

    def shown(self, found: Survey) -> Study:
        """The study with those of its jobs that were looked at."""
        subjects = [
            Subject(
                name=f"{places[0][1]} {job[:SHORT_ID]}",
                sweeps=tuple(sweep for sweep, _ in places),
                arm=self.arms[job],
                facts=found.facts[job],
                status=found.statuses[job],
            )
            for job, places in self.jobs.items()
            if job in found.statuses
        ]
        return Study(name=self.study, subjects=subjects, axes=self.axes, note=self.note)


def sync_sweeps(
    root: Root, names: Sequence[str], uri: str, *, through: str | None = None
) -> Synced:
    """Show these sweeps' or studies' jobs, each in its study's experiment.

    Raises:
        SpecError: no sweep or study is called so.
        StoreError, BusyError: as `sync` does.
    """
    plans = plans_of(root, names)
    found = survey(root, [job for plan in plans for job in plan.jobs])
    return sync(root, uri, [plan.shown(found) for plan in plans], through=through)


def plans_of(root: Root, names: Sequence[str]) -> list[Plan]:
    """The named studies, or those of the named sweeps; all there are, if none is named.

    All of a study's sweeps belong to it: a job's tags name every one that has it.

    Raises:
        SpecError: nothing is called so.
    """
    revisions = {sweep: launched_revision(root, sweep) for sweep in sweep_names(root)}
    studies: dict[str, dict[str, dict[str, Any]]] = {}
    for sweep, revision in revisions.items():
        studies.setdefault(revision["study"], {})[sweep] = revision
    known = {*studies, *revisions}
    if unknown := [name for name in names if name not in known]:
        raise SpecError(
            f"No study or sweep '{unknown[0]}' was launched under {root.path}. "
            f"There are: {', '.join(sorted(known)) or 'none'}"
        )
    return [
        _plan(root, study, sweeps)
        for study, sweeps in studies.items()
        if not names or {study, *sweeps} & set(names)
    ]


def _plan(root: Root, study: str, sweeps: Mapping[str, dict[str, Any]]) -> Plan:
    jobs: dict[str, list[tuple[str, str]]] = {}
    for sweep, revision in sweeps.items():
        for job in revision["jobs"]:
            jobs.setdefault(job["id"], []).append((sweep, job["name"]))
    records = {job: read_record(root.job(job).record) for job in jobs}
    note = "\n\n".join(_said(*each) for each in sweeps.items())
    return Plan(study, jobs, arms_of(records), varied(list(records.values())), note)


def arms_of(records: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Jobs by number, those alike but for their seeds by the same; numbered as they come."""
    numbers: dict[str, int] = {}
    without = {
        job: json.dumps({key: at for key, at in record["reduced"].items() if key != "seed"})
        for job, record in records.items()
    }
    return {job: numbers.setdefault(arm, len(numbers)) for job, arm in without.items()}


def varied(records: Sequence[Mapping[str, Any]]) -> dict[str, bool]:
    """The configuration keys that differ between jobs, and whether every job has each.

    The reduced forms show what differs; a key below a section that some job lacks, such as the
    gate's, is not in every whole configuration.
    """
    reduced = [record["reduced"] for record in records]
    keys = {key: None for one in reduced for key in one}
    differ = [key for key in keys if len({json.dumps(one.get(key, ABSENT)) for one in reduced}) > 1]
    whole = [dict(flatten(record["config"])) for record in records] if differ else []
    return {key: all(key in one for one in whole) for key in sorted(differ)}


def _said(sweep: str, revision: Mapping[str, Any]) -> str:
    question = revision["question"] or "(no question)"
    return f"**{sweep}** ({len(revision['jobs'])} jobs): {question}"


def locate_store(root: Root, asked: str | None = None) -> str:
    """The store's URI: ``asked``, else $MLFLOW_TRACKING_URI, else a SQLite file of this root.

    That file is beside the journals, or on this machine's own disk where they are on a network
    file system, on which SQLite loses data.
    """
    named = asked or os.environ.get("MLFLOW_TRACKING_URI")
    if named:
        return named
    file = _own_file(root)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return f"sqlite:///{file}"


def store_in_use(root: Root) -> str | None:
    """The store that long verbs keep up to date: a named one, or the root's own if it is there."""
    if os.environ.get("MLFLOW_TRACKING_URI") or _own_file(root).exists():
        return locate_store(root)
    return None


def _own_file(root: Root) -> Path:
    folder = root.path.resolve() / "mlflow"
    if _file_system(root.path).startswith(NETWORK):
        machine = f"{root.id()}-{socket.gethostname()}"
        folder = Path(f"/var/tmp/orchestrate-{os.getuid()}") / machine  # noqa: S108
    return folder / "mlflow.db"


def _file_system(path: Path) -> str:
    """The kind of file system that holds ``path``."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    over = [(len(where), kind) for where, kind in mounts if path.resolve().is_relative_to(where)]
    return max(over)[1] if over else ""
