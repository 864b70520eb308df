"""Bringing a store up to date with a run root: what it lacks is sent, the rest is left alone."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from mlflow.exceptions import MlflowException

from orchestrator.errors import RootError, StoreError
from orchestrator.jobs.facts import read_history
from orchestrator.jobs.files import publish, read_record, to_json
from orchestrator.jobs.layout import JobFolder, Root
from orchestrator.jobs.lease import leased
from orchestrator.jobs.store import read_job
from orchestrator.mirror.projection import Mark, Projection, Subject, project, seen_of
from orchestrator.mirror.store import Known, Store

SCHEMA = 1
IN_A_ROW = 3
"""So many jobs in a row that the store does not take: it is the store."""


@dataclass
class Synced:
    """What one sync did; ``refused``: what the store did not take, by job."""

    created: int = 0
    updated: int = 0
    points: int = 0
    refused: dict[str, str] = field(default_factory=dict)


def sync(root: Root, uri: str, studies: Mapping[str, Sequence[Subject]]) -> Synced:
    """Make the store show these jobs, by study.

    Any number of times, from any number of machines, after any crash: the same runs, each point
    once. One mirror works on a root at a time.

    Raises:
        StoreError: the store does not answer, or refuses; the next sync catches up.
        BusyError: another mirror is at it for longer than one waits.
    """
    done = Synced()
    with leased(root.mirror / "lease", "sync"):
        try:
            store = Store(uri)
            for study, subjects in studies.items():
                _Mirror(root, store, uri, study).show(subjects, done)
        except MlflowException as error:
            raise StoreError(
                f"MLflow at {without_password(uri)} did not take it: {_line(error)}. Nothing is "
                "lost: the next sync catches up."
            ) from None
    return done


class _Mirror:
    """One study's runs in one store, and the memory of what was sent.

    The memory only saves asking: it is believed as long as the experiment is the one it was made
    of, and may be deleted at any time.
    """

    def __init__(self, root: Root, store: Store, uri: str, study: str) -> None:
        self._root, self._store, self._id = root, store, root.id()
        self._experiment = store.experiment(study, _artifacts(root, uri))
        name = hashlib.blake2b(f"{uri} {study}".encode(), digest_size=8).hexdigest()
        self._file = root.mirror / f"{name}.json"
        remembered = self._remembered()
        if remembered is None:
            remembered = dict(store.runs(self._experiment.id, self._id))
        self._known = remembered

    def show(self, subjects: Sequence[Subject], done: Synced) -> None:
        """Bring every job's run up to date; one that is refused hides no other."""
        row = 0
        try:
            for subject in subjects:
                if not subject.is_worth_a_run:
                    continue
                try:
                    self._show(subject, done)
                    row = 0
                except MlflowException as error:
                    if self._was_deleted(subject):
                        self._show(subject, done)
                        continue
                    row += 1
                    if row >= IN_A_ROW:
                        raise
                    done.refused[subject.name] = _line(error)
        finally:
            self._remember()

    def _show(self, subject: Subject, done: Synced) -> None:
        folder = self._root.job(subject.facts.id)
        saved = _newest_checkpoint(folder)
        sizes = [_size(folder.attempt(a.number).journal) for a in subject.facts.attempts]
        seen = seen_of(subject, sizes, saved)
        known = self._known.get(subject.facts.id)
        if known is not None and known.mark.seen == seen:
            return
        config, points = read_job(self._root, subject.facts.id), read_history(folder).points
        one = project(subject, config, points, saved)
        if known is not None and not known.mark.begins(one.points):
            self._store.remove(known.run)
            known = None
        if known is None:
            known = self._created(one, done)
            self._known[one.job] = known
        news = one.points[known.mark.points :]
        self._store.send(known.run, news)
        self._store.describe(known.run, one, params=not known.mark.seen)
        mark = Mark.of(seen, one.points)
        self._store.mark(known.run, mark)
        self._known[one.job] = Known(known.run, mark)
        done.updated += 1
        done.points += len(news)

    def _created(self, one: Projection, done: Synced) -> Known:
        """The job's new run, or the one that a mirror made and did not live to remember."""
        for _, known in self._store.runs(self._experiment.id, self._id, one.job):
            if known.mark.begins(one.points):
                return known
            self._store.remove(known.run)
        made = self._store.create(self._experiment.id, one, self._id)
        for _, other in self._store.runs(self._experiment.id, self._id, one.job):
            if other.run != made:  # of a request that was heard, and made again
                self._store.remove(other.run)
        done.created += 1
        return Known(made, Mark())

    def _was_deleted(self, subject: Subject) -> bool:
        """Whether the refused run is not there any more; it is forgotten then."""
        known = self._known.get(subject.facts.id)
        if known is None or self._store.is_active(known.run):
            return False
        del self._known[subject.facts.id]
        return True

    def _remembered(self) -> dict[str, Known] | None:
        try:
            record = read_record(self._file)
            if (record["schema"], record["stamp"]) != (SCHEMA, self._experiment.stamp):
                return None
            return {job: Known(run, Mark.read(mark)) for job, (run, mark) in record["runs"].items()}
        except (FileNotFoundError, RootError, KeyError, ValueError):
            return None

    def _remember(self) -> None:
        runs = {job: (known.run, str(known.mark)) for job, known in self._known.items()}
        record = {"schema": SCHEMA, "stamp": self._experiment.stamp, "runs": runs}
        publish(self._file, to_json(record))


def without_password(uri: str) -> str:
    """A store's URI as it may be shown."""
    parts = urlsplit(uri)
    if not parts.password and not parts.username:
        return uri
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _artifacts(root: Root, uri: str) -> str | None:
    """Where pictures of a store go that is only a database; a server has a place of its own."""
    return None if uri.startswith("http") else (root.path / "mlflow" / "artifacts").as_uri()


def _newest_checkpoint(folder: JobFolder) -> int:
    """The step of a job's newest checkpoint; -1 for none."""
    found = folder.checkpoints.glob("[0-9]*-[0-9]*") if folder.checkpoints.is_dir() else ()
    return max((int(path.name.partition("-")[2]) for path in found), default=-1)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _line(error: MlflowException) -> str:
    return " ".join(str(error).split())[:200]
