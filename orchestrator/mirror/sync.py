"""Bringing a store up to date with a run root: what it lacks is sent, the rest is left alone."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.errors import BusyError, OrchestrateError, RootError, StoreError
from orchestrator.jobs.facts import read_history
from orchestrator.jobs.files import publish, read_record, to_json
from orchestrator.jobs.layout import JobFolder, Root
from orchestrator.jobs.lease import Lease, holder, leased
from orchestrator.jobs.store import read_job
from orchestrator.mirror.pictures import pictures, probed
from orchestrator.mirror.projection import Mark, Projection, Study, Subject, project, seen_of
from orchestrator.mirror.store import Known, Store
from orchestrator.mirror.view import VIEW_TAG, view_tag

SCHEMA = 2
IN_A_ROW = 3
"""So many jobs in a row that the store does not take: it is the store."""


@dataclass
class Synced:
    """What one sync did.

    ``experiments`` are the store's ids by study; ``refused``: why a job is not shown, by its name.
    """

    created: int = 0
    updated: int = 0
    points: int = 0
    pictures: int = 0
    experiments: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def troubles(self) -> tuple[str, ...]:
        """What was refused, a sentence for each job."""
        return tuple(
            f"{name} is not up to date in MLflow: {why}" for name, why in self.refused.items()
        )


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
    if through is None and (server := holder(serving(root, uri))):
        raise BusyError(
            f"{without_password(uri)} is kept up to date by {server}; there is nothing to do. To "
            "sync by hand, end that first."
        )
    with leased(_beside(root, uri, "lease"), "sync") as lease:
        try:
            store = Store(through or uri, artifacts=_artifacts(root, uri))
            for study in studies:
                mirror = _Mirror(root=root, lease=lease, store=store, study=study)
                mirror.show(done)
                done.experiments[study.name] = mirror.experiment.id
        except (MlflowException, SQLAlchemyError) as error:
            why = _line(error).replace(_password(uri), "")
            raise StoreError(
                f"MLflow at {without_password(uri)} did not take it: {why}. Nothing is lost: the "
                "next sync catches up."
            ) from None
    return done


def serving(root: Root, uri: str) -> Path:
    """The folder of the lease of whoever serves a store: a SQLite file has one opener."""
    return _beside(root, uri, "server")


def _beside(root: Root, uri: str, kind: str) -> Path:
    digest = hashlib.blake2b(uri.encode(), digest_size=8).hexdigest()
    return root.mirror / f"{digest}.{kind}"


class _Mirror:
    """One study's runs in one store, and the memory of what was sent.

    The memory only saves asking: it is believed as long as the experiment is the one it was made
    of, and may be deleted at any time. It is away while something is being sent.
    """

    def __init__(self, *, root: Root, lease: Lease, store: Store, study: Study) -> None:
        self._root, self._lease, self._store, self._study = root, lease, store, study
        self._id = root.id()
        self.experiment = store.experiment(study)
        self._file = root.mirror / f"{self.experiment.stamp}.json"
        remembered = self._remembered()
        if remembered is None:
            remembered = dict(store.runs(self.experiment.id, self._id))
        self._known = remembered

    def show(self, done: Synced) -> None:
        """Bring every job's run up to date; one that cannot be shown hides no other."""
        row = 0
        for subject in self._study.subjects:
            if not subject.is_worth_a_run:
                continue
            known = self._known.pop(subject.facts.id, None)
            try:
                self._known[subject.facts.id] = self._shown(subject, known, done)
                row = 0
            except MlflowException as error:
                if self._was_deleted(known):
                    self._known[subject.facts.id] = self._shown(subject, None, done)
                    continue
                row += 1
                if row >= IN_A_ROW:
                    raise
                done.refused[subject.name] = _line(error)
            except BusyError:
                raise
            except OrchestrateError as error:  # a damaged record
                done.refused[subject.name] = str(error)
        self._arrange()
        if not self._file.exists():
            self._remember()

    def _arrange(self) -> None:
        """Let the page open on useful columns, and on pictures that all pictured runs have."""
        steps = {known.mark.pictured for known in self._known.values()} - {-1}
        view = view_tag(self._study.axes, min(steps, default=0))
        self._store.tag(self.experiment, {VIEW_TAG: view})

    def _shown(self, subject: Subject, known: Known | None, done: Synced) -> Known:
        """The job's run, up to date."""
        folder = self._root.job(subject.facts.id)
        saved = _newest_checkpoint(folder)
        sizes = [_size(folder.attempt(a.number).journal) for a in subject.facts.attempts]
        seen = seen_of(subject, sizes, saved)
        if known is not None and known.mark.seen == seen:
            return known
        if not self._lease.mine():
            raise BusyError("Another mirror took over: this one was silent for too long.")
        self._file.unlink(missing_ok=True)
        config, points = read_job(self._root, subject.facts.id), read_history(folder).points
        one = project(subject, config, points, saved)
        if known is not None and not known.mark.begins(one.points):
            self._store.remove(known.run)
            known = None
        return self._sent(one, known or self._found(one, done), seen, done)

    def _sent(self, one: Projection, known: Known, seen: str, done: Synced) -> Known:
        """The run, with all that it lacked."""
        run, before = known.run, known.mark
        mark = before.sending(one.points)
        self._store.describe(run, one, mark, anew=not before.seen)
        news = one.points[before.sent :]
        self._store.send(run, news)
        pictured = self._pictured(one, known, done)
        mark = mark.complete(seen, pictured)
        self._store.mark(run, mark)
        done.updated += 1
        done.points += len(news)
        return Known(run, mark)

    def _pictured(self, one: Projection, known: Known, done: Synced) -> int:
        """Upload what is missing but for damaged files; the step of the last pictures then."""
        pictured = known.mark.pictured
        for point, path in probed(self._root.job(one.job), one.points, after=pictured):
            try:
                drawn = pictures(point, path)
            except RootError as error:
                done.refused[one.name] = str(error)
                continue
            self._store.upload(known.run, drawn)
            pictured = point.step
            done.pictures += len(drawn)
        return pictured

    def _found(self, one: Projection, done: Synced) -> Known:
        """The job's run that a mirror made and did not live to remember, or a new one."""
        for _, known in self._store.runs(self.experiment.id, self._id, one.job):
            if known.mark.begins(one.points):
                return known
            self._store.remove(known.run)
        made = self._store.create(self.experiment.id, one, self._id)
        for _, other in self._store.runs(self.experiment.id, self._id, one.job):
            if other.run != made:  # of a request that was heard, and made again
                self._store.remove(other.run)
        done.created += 1
        return Known(made, Mark())

    def _was_deleted(self, known: Known | None) -> bool:
        """Whether the run of a job that was refused is not there any more."""
        return known is not None and not self._store.is_active(known.run)

    def _remembered(self) -> dict[str, Known] | None:
        try:
            record = read_record(self._file)
            if record["schema"] != SCHEMA:
                return None
            return {job: Known(run, Mark.read(mark)) for job, (run, mark) in record["runs"].items()}
        except (FileNotFoundError, RootError, KeyError, ValueError):
            return None

    def _remember(self) -> None:
        runs = {job: (known.run, str(known.mark)) for job, known in self._known.items()}
        publish(self._file, to_json({"schema": SCHEMA, "runs": runs}))


def without_password(uri: str) -> str:
    """A store's URI as it may be shown."""
    return uri.replace(_password(uri), "", 1)


def _password(uri: str) -> str:
    """User, password and the sign after them, as the URI has them."""
    user, at, _ = urlsplit(uri).netloc.rpartition("@")
    return user + at


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


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
