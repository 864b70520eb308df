"""Opening a run root, and write-once records in it: root, dataset, sweep revision."""

import errno
import json
import os
import time
import uuid
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestrator.errors import OrchestrateError, RootError, SpecError
from orchestrator.jobs.datasets import Manifest
from orchestrator.jobs.files import (
    damaged,
    publish,
    publish_once,
    read_record,
    refuse_newer,
    to_json,
)
from orchestrator.jobs.layout import Root

SCHEMA = 1
REVISION_SCHEMA = 5
"""Of a sweep's revision. 1 had no cluster and no resources, which are then read as none; 2 had a
placement and resources with each job, and no form of it: such jobs have records of their own; 3
had no jobs with parents; 4 had no search."""

IMPORTED = "imported.json"
"""Beside a sweep's revisions; not a number's name."""


def root_there(path: Path) -> Root | None:
    """The run root at ``path``; None: none was made there yet.

    Raises:
        RootError: as ``open_root``.
    """
    return open_root(path) if Root(path).record.is_file() else None


def create_root(path: Path) -> Root:
    """The root at ``path``, made if there is none.

    Raises:
        RootError: it cannot be written, or is of a newer version.
    """
    record = {"schema": SCHEMA, "root": uuid.uuid4().hex, "created": time.time()}
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not Root(path).record.is_file():
            publish_once(Root(path).record, to_json(record))
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise RootError(
            f"The run root {path} cannot be written: {error.strerror}. Choose another one with "
            "--root or $ORCHESTRATE_ROOT, or ask for the rights to write there."
        ) from None
    return open_root(path)


def open_root(path: Path) -> Root:
    """The root at ``path``, which must be there.

    Raises:
        RootError: there is none, or it is of a newer version.
    """
    root = Root(path)
    try:
        found = read_record(root.record).get("schema")
    except (FileNotFoundError, NotADirectoryError):
        raise RootError(
            f"There is no run root at {path}. Launch a sweep to make one, or name another with "
            "--root or $ORCHESTRATE_ROOT."
        ) from None
    except OSError as error:
        raise RootError(
            f"The run root {path} cannot be read: {error.strerror}. Ask for the rights to do so."
        ) from None
    if not isinstance(found, int):
        raise damaged(root.record, "it has no version")
    if found > SCHEMA:
        raise RootError(
            f"The run root {path} has version {found}; this program reads up to {SCHEMA}. "
            "Use the newer program that made it."
        )
    return root


def bind_dataset(root: Root, manifest: Manifest) -> str | None:
    """Tie a dataset's name to its content for this root; returns a warning, or None.

    Raises:
        OrchestrateError: this root already knows another content under this name.
    """
    record = {
        "schema": SCHEMA,
        "name": manifest.name,
        "content_hash": manifest.content_hash,
        "layout_hash": manifest.layout_hash,
        "classes": manifest.classes,
    }
    path = root.dataset(manifest.name)
    if publish_once(path, to_json(record)):
        return None
    return compare_dataset(root, manifest)


def compare_dataset(root: Root, manifest: Manifest) -> str | None:
    """Compare a dataset with what this root knows under its name; returns a warning, or None.

    Raises:
        OrchestrateError: the content differs.
    """
    path = root.dataset(manifest.name)
    try:
        known = read_record(path)
    except FileNotFoundError:
        return None
    refuse_newer(path, known.get("schema"), SCHEMA)
    if not known.keys() >= {"content_hash", "layout_hash"}:
        raise damaged(path, "it lacks a hash")
    if known["content_hash"] != manifest.content_hash:
        raise OrchestrateError(
            f"Dataset '{manifest.name}' has content {manifest.content_hash[:12]}, but this run "
            f"root was trained on another content of that name, {known['content_hash'][:12]} "
            f"({path}). Prepare the new data under another name, or use another --root."
        )
    if known["layout_hash"] != manifest.layout_hash:
        return (
            f"dataset '{manifest.name}' is laid out in other shards than before "
            f"({manifest.layout_hash[:12]}, was {known['layout_hash'][:12]}): samples come in "
            "another order, so results of old and new jobs are mixed data"
        )
    return None


def forms_of(root: Root, ids: Collection[str]) -> dict[str, Mapping[str, Any]]:
    """What these jobs are, as the newest revisions of sweeps have them: also before they start."""
    if not ids:
        return {}
    newest = filter(None, (newest_revision(root, name) for name in root.sweep_names()))
    listed = (job for _, revision in newest for job in revision["jobs"] if job["id"] in ids)
    return {job["id"]: job["form"] for job in listed if job.get("form")}


def write_revision(root: Root, name: str, content: Mapping[str, Any]) -> int:
    """Write a sweep's next revision unless the newest one says the same; returns its number."""
    folder = root.sweep(name)
    newest = newest_revision(root, name)
    if newest is not None and newest[1] == json.loads(json.dumps(content)):
        return newest[0]
    number = 1 if newest is None else newest[0] + 1
    while not publish_once(folder / f"{number:03d}.json", to_json(content)):
        number += 1
    return number


def newest_revision(root: Root, name: str) -> tuple[int, dict[str, Any]] | None:
    """Number and content of a sweep's newest revision, or None if it was never launched."""
    paths = root.revisions(name)
    return (int(paths[-1].stem), _revision(paths[-1])) if paths else None


def revisions_of(root: Root, name: str) -> list[tuple[int, dict[str, Any]]]:
    """Number and content of each of a sweep's revisions, oldest first."""
    return [(int(path.stem), _revision(path)) for path in root.revisions(name)]


def _revision(path: Path) -> dict[str, Any]:
    content = read_record(path)
    refuse_newer(path, content.get("schema"), REVISION_SCHEMA)
    return content


def launched_revision(root: Root, name: str) -> dict[str, Any]:
    """The content of a sweep's newest revision.

    Raises:
        SpecError: no sweep of this name was launched.
    """
    newest = newest_revision(root, name)
    if newest is None:
        known = ", ".join(root.sweep_names()) or "none"
        raise SpecError(f"No sweep '{name}' was launched under {root.path}. Sweeps there: {known}")
    return newest[1]


def launched_ever(root: Root, names: Iterable[str]) -> set[str]:
    """The jobs of every revision of these sweeps."""
    told = (revision for name in names for _, revision in revisions_of(root, name))
    return {job["id"] for revision in told for job in revision["jobs"]}


def mark_imported(root: Root, name: str, revision: int, origin: str) -> None:
    """Say that a sweep's revisions up to this one are another root's: nobody tends them here."""
    record = {"schema": SCHEMA, "revision": revision, "root": origin, "time": time.time()}
    publish(root.sweep(name) / IMPORTED, to_json(record))


def is_imported(root: Root, name: str) -> bool:
    """Whether a sweep was imported, and not launched here since."""
    newest = newest_revision(root, name)
    with suppress(FileNotFoundError):
        record = read_record(root.sweep(name) / IMPORTED)
        return newest is not None and bool(newest[0] <= record["revision"])
    return False


def adopt(root: Root, name: str) -> None:
    """A sweep was launched here: its jobs are this root's to tend."""
    (root.sweep(name) / IMPORTED).unlink(missing_ok=True)
