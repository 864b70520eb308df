"""One study's runs in one store: what they lack of the journals is sent, the rest is left alone."""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mlflow.exceptions import MlflowException

from orchestrator.errors import BusyError, OrchestrateError, RootError
from orchestrator.jobs.facts import read_history
from orchestrator.jobs.files import publish, read_record, to_json
from orchestrator.jobs.layout import Root
from orchestrator.jobs.lease import Lease
from orchestrator.jobs.records import read_job
from orchestrator.jobs.summary import lost_measurements
from orchestrator.mirror.pictures import pictures, probed
from orchestrator.mirror.projection import Mark, Projection, Study, Subject, project, seen_of
from orchestrator.mirror.store import PASSING, Known, Store
from orchestrator.mirror.view import VIEW_TAG, view_tag

SCHEMA = 2
LINE = 200
"""Characters of an error that are told."""
IN_A_ROW = 3
"""So many jobs in a row that the store does not take now: it is the store."""


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


class StudyMirror:
    """One study's runs in one store, and the memory of what was sent.

    The memory only saves asking: it is believed as long as the experiment is the one it was made
    of, and may be deleted at any time. It is away while something is being sent.
    """

    def __init__(self, *, root: Root, lease: Lease, store: Store, study: Study) -> None:
        self._root, self._lease, self._store, self._study = root, lease, store, study
        self._id = root.id()
        self.experiment = store.experiment(study, self._id)
        self._stamp = self.experiment.stamp
        self._changing, self._takes_pictures = False, True
        remembered = self._remembered()
        self._is_news = remembered is None
        self._known = self._asked() if remembered is None else remembered

    def show(self, done: Synced) -> None:
        """Bring every job's run up to date; one that cannot be shown hides no other."""
        row = 0
        for subject in self._study.subjects:
            if subject.facts.fault:  # its run may be all that is left of it
                done.refused[subject.name] = subject.facts.fault
                continue
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
                row += error.error_code in PASSING
                if row >= IN_A_ROW:
                    raise
                done.refused[subject.name] = line_of(error)
            except BusyError:
                raise
            except OrchestrateError as error:  # a damaged record
                done.refused[subject.name] = str(error)
        self._arrange()
        if self._changing or self._is_news:
            self._remember()

    def _arrange(self) -> None:
        """Let the page open on useful columns, and on pictures that all pictured runs have."""
        steps = {known.mark.pictured for known in self._known.values()} - {-1}
        view = view_tag(self._study.axes, min(steps, default=0))
        self._store.tag(self.experiment, {VIEW_TAG: view})

    def _shown(self, subject: Subject, known: Known | None, done: Synced) -> Known:
        """The job's run, up to date."""
        folder = self._root.job(subject.facts.id)
        sizes = [_size(folder.attempt(a.number).journal) for a in subject.facts.attempts]
        seen = seen_of(subject, sizes)
        if known is not None and known.mark.seen == seen:
            return known
        config = read_job(self._root, subject.facts.id, subject.facts.form)
        history = read_history(folder, subject.facts.discarded)
        if lost := lost_measurements(subject.facts, history):
            raise RootError(lost)
        self._begin()
        one = project(subject, config, history.points)
        if known is not None and not known.mark.begins(one.points):
            self._remove(known.run)
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
        mark = mark.complete(seen if self._takes_pictures else "", pictured)
        self._store.mark(run, mark)
        done.updated += 1
        done.points += len(news)
        return Known(run, mark)

    def _pictured(self, one: Projection, known: Known, done: Synced) -> int:
        """Upload what is missing but for damaged files; the step of the last pictures then."""
        pictured = known.mark.pictured
        if not self._takes_pictures:
            return pictured
        for point, path in probed(self._root.job(one.job), one.points, after=pictured):
            try:
                drawn = pictures(point, path)
            except RootError as error:
                done.refused[one.name] = str(error)
                continue
            try:
                self._store.upload(known.run, drawn)
            except MlflowException as error:
                done.refused[one.name] = f"no place for its pictures: {line_of(error)}"
                self._takes_pictures = False
                break
            pictured = point.step
            done.pictures += len(drawn)
        return pictured

    def _found(self, one: Projection, done: Synced) -> Known:
        """The job's run that a mirror made and did not live to remember, or a new one."""
        for _, known in self._store.runs(self.experiment.id, self._id, one.job):
            if known.mark.begins(one.points):
                return known
            self._remove(known.run)
        made = self._store.create(self.experiment.id, one, self._id)
        try:
            self._check_lease()
        except BusyError:
            self._store.remove(made)
            raise
        for _, other in self._store.runs(self.experiment.id, self._id, one.job):
            if other.run != made:  # of a request that was heard, and made again
                self._remove(other.run)
        done.created += 1
        return Known(made, Mark())

    def _begin(self) -> None:
        """Before a run is changed: what is remembered of the experiment holds no longer.

        The new stamp comes first. So a memory is never believed of a store that is another, older
        or newer than when it was written.
        """
        self._check_lease()
        if not self._changing:
            before, self._stamp = self._stamp, self._store.stamp(self.experiment, self._id)
            self._changing = True
            if before:
                self._memory(before).unlink(missing_ok=True)

    def _check_lease(self) -> None:
        if not self._lease.mine():
            raise BusyError("Another mirror took over: this one was silent for too long.")

    def _remove(self, run: str) -> None:
        self._check_lease()
        self._store.remove(run)

    def _asked(self) -> dict[str, Known]:
        """What the store has. Of two runs of one job the one with more points stays."""
        found: dict[str, Known] = {}
        for job, known in self._store.runs(self.experiment.id, self._id):
            runs = [found[job], known] if job in found else [known]
            *others, found[job] = sorted(runs, key=lambda one: one.mark.points)
            for other in others:
                self._remove(other.run)
        return found

    def _was_deleted(self, known: Known | None) -> bool:
        """Whether the run of a job that was refused is not there any more."""
        return known is not None and not self._store.is_active(known.run)

    def _memory(self, stamp: str) -> Path:
        return self._root.mirror / f"{stamp}.json"

    def _remembered(self) -> dict[str, Known] | None:
        """What the store has as the last mirror left it; None where it must be asked."""
        if self._stamp is None:
            return None
        try:
            record = read_record(self._memory(self._stamp))
            if record["schema"] != SCHEMA:
                return None
            return {job: Known(run, Mark.read(mark)) for job, (run, mark) in record["runs"].items()}
        except (OSError, RootError, KeyError, ValueError):
            return None

    def _remember(self) -> None:
        if self._stamp is None:
            self._begin()
        self._check_lease()
        runs = {job: (known.run, str(known.mark)) for job, known in self._known.items()}
        with suppress(OSError):  # without it the store is asked
            assert self._stamp is not None
            publish(self._memory(self._stamp), to_json({"schema": SCHEMA, "runs": runs}))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def line_of(error: Exception) -> str:
    """An error in a line."""
    return " ".join(str(error).split())[:LINE]
