"""The verb sync: what the sweeps of a root have measured, brought into MLflow."""

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.controller.machine import NETWORK, file_system
from orchestrator.controller.outline import Outline, outlines_of
from orchestrator.controller.select import select
from orchestrator.controller.survey import Survey, survey
from orchestrator.controller.where import holding
from orchestrator.documents.site import SyncDocument
from orchestrator.errors import SpecError, StoreError
from orchestrator.jobs.layout import Root

if TYPE_CHECKING:
    from orchestrator.mirror.study import Synced

SQLITE = "sqlite:///"


def sync_sweeps(
    root: Root,
    names: Sequence[str],
    uri: str,
    *,
    through: str | None = None,
    where: str | None = None,
) -> "Synced":
    """Show these sweeps' or studies' jobs, each in its study's experiment.

    With ``where`` only those for which it holds: runs of the others stay as they are.

    Raises:
        SpecError: no sweep or study is called so, or ``where`` is no expression, or holds for none.
        StoreError, BusyError: as `sync` does.
    """
    outlines = outlines_of(root, names)
    found = survey(root, _jobs(root, outlines, where))
    return sync_looks(root, outlines, found, uri, through=through)


def _jobs(root: Root, outlines: Sequence[Outline], where: str | None) -> list[str]:
    """Ids of the outlines' jobs for which ``where`` holds, if it is given."""
    jobs = dict.fromkeys(job for outline in outlines for job in outline.jobs)
    if where is None:
        return [*jobs]
    held = holding(root, [job for job in select(root, None) if job.id in jobs], where)
    if not held:
        raise SpecError(f"--where holds for none of the {len(jobs)} jobs that would be shown")
    return [job.id for job in held]


def sync_looks(
    root: Root, outlines: Sequence[Outline], found: Survey, uri: str, *, through: str | None = None
) -> "Synced":
    """Show what a look found of these studies' jobs.

    Raises:
        StoreError, BusyError: as `sync` does.
    """
    from orchestrator.mirror.sync import sync  # noqa: PLC0415 - mlflow is an extra, and heavy

    _make_room(uri)
    return sync(root, uri, [outline.shown(found) for outline in outlines], through=through)


def as_json(uri: str, done: "Synced") -> SyncDocument:
    """The documented form of ``sync --json``; ``uri``: the store's, without a password."""
    return {
        "schema": 1,
        "store": uri,
        "experiments": done.experiments,
        "updated": done.updated,
        "created": done.created,
        "points": done.points,
        "pictures": done.pictures,
        "notes": done.troubles,
    }


def locate_store(root: Root, asked: str | None = None) -> str:
    """The store's URI: ``asked``, else $MLFLOW_TRACKING_URI, else a SQLite file of this root.

    That file is beside the journals, or on this machine's own disk where they are on a network
    file system, on which SQLite loses data.
    """
    named = asked or os.environ.get("MLFLOW_TRACKING_URI")
    if named:
        return _absolute(named)
    return f"{SQLITE}{_own_file(root)}"


def _absolute(uri: str) -> str:
    """A SQLite file's URI may be relative to where one is; its server is elsewhere."""
    path = uri.removeprefix(SQLITE)
    return uri if path == uri else f"{SQLITE}{Path(path).resolve()}"


def store_in_use(root: Root) -> str | None:
    """The store that long verbs keep up to date: a named one, or the root's own if it is there."""
    if os.environ.get("MLFLOW_TRACKING_URI") or os.access(_own_file(root), os.W_OK):
        return locate_store(root)
    return None


def _own_file(root: Root) -> Path:
    folder = root.mlflow
    if file_system(root.path).startswith(NETWORK):
        folder = _own_disk() / f"{root.id()}-{socket.gethostname()}"
    return folder / "mlflow.db"


def _own_disk() -> Path:
    return Path(f"/var/tmp/orchestrate-{os.getuid()}")  # noqa: S108 - see _make_room


def _make_room(uri: str) -> None:
    """Make the folder of a file in `_own_disk`, which is everybody's disk: for this user alone."""
    folder = Path(uri.removeprefix(SQLITE)).parent
    if not folder.is_relative_to(_own_disk()):
        return
    for made in (_own_disk(), folder):
        made.mkdir(mode=0o700, exist_ok=True)
        if made.is_symlink() or made.stat().st_uid != os.getuid():
            raise StoreError(f"{made} is another user's. Name a store: --store sqlite:////...")
