"""Bringing a store up to date with a run root, by one mirror at a time."""

import hashlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.errors import BusyError, StoreError
from orchestrator.jobs.layout import Root
from orchestrator.jobs.lease import holder, leased
from orchestrator.mirror.moved import follow
from orchestrator.mirror.projection import Study
from orchestrator.mirror.store import Store
from orchestrator.mirror.study import LINE, StudyMirror, Synced


def sync(root: Root, uri: str, studies: Sequence[Study], *, through: str | None = None) -> Synced:
    """Make the store show these studies.

    Any number of times, from any number of machines, after any crash: the same runs, each point
    once. One mirror works on a root and store at a time.

    Args:
        root: the run root.
        uri: the store's.
        studies: what is to be shown.
        through: where to send it, if the caller holds the lease of `serving`; None: the store
            itself, which nobody may be serving then.

    Raises:
        StoreError: the store does not answer, or refuses; the next sync catches up.
        BusyError: another mirror is at it for longer than one waits, or serves the store.
    """
    done = Synced()
    if through is None:
        _leave_to_server(root, uri)  # before waiting for a lease that it takes every few seconds
    with leased(_beside(root, uri, "lease"), "sync") as lease:
        if through is None:
            _leave_to_server(root, uri)
        try:
            if through in (None, uri):
                follow(root, uri, artifacts(root).as_uri())
            store = Store(through or uri, artifacts=_artifacts(root, uri))
            for study in studies:
                mirror = StudyMirror(root=root, lease=lease, store=store, study=study)
                mirror.show(done)
                done.experiments[study.name] = mirror.experiment.id
        except (MlflowException, SQLAlchemyError, sqlite3.Error, ImportError) as error:
            why = _scrubbed(" ".join(str(error).split()), uri)[:LINE]
            raise StoreError(
                f"MLflow at {without_password(uri)} did not take it: {why}. Nothing is lost: the "
                "next sync catches up."
            ) from None
    return done


def _leave_to_server(root: Root, uri: str) -> None:
    if server := holder(serving(root, uri)):
        raise BusyError(
            f"{without_password(uri)} is kept up to date by {server}; there is nothing to do. To "
            "sync by hand, end that first."
        )


def serving(root: Root, uri: str) -> Path:
    """The folder of the lease of whoever serves a store: a SQLite file has one opener."""
    return _beside(root, uri, "server")


def _beside(root: Root, uri: str, kind: str) -> Path:
    digest = hashlib.blake2b(uri.encode(), digest_size=8).hexdigest()
    return root.mirror / f"{digest}.{kind}"


def without_password(uri: str) -> str:
    """A store's URI as it may be shown: without user, password and settings."""
    return _scrubbed(uri, uri)


def _scrubbed(text: str, uri: str) -> str:
    """Text without what a URI should not show."""
    scheme, _, rest = uri.partition("://")
    if scheme.startswith("sqlite"):
        return text
    user, at, place = rest.rpartition("@")
    place, mark, settings = place.partition("?")
    for secret in (user + at, mark + settings):
        text = text.replace(secret, "")
    return text


def _artifacts(root: Root, uri: str) -> str | None:
    """Where pictures of a store go that is only a database; a server has a place of its own."""
    return None if uri.startswith("http") else artifacts(root).as_uri()


def artifacts(root: Root) -> Path:
    """The folder of pictures of a root's own store."""
    return root.mlflow / "artifacts"
