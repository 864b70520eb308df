"""A run root from Python: its jobs across sweeps, and what is done with them."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.api import tables
from orchestrator.api.measured import Measured
from orchestrator.controller import cancel as cancelling
from orchestrator.controller import failures as failing
from orchestrator.controller import gc as collecting
from orchestrator.controller import outlook
from orchestrator.controller import status as looking
from orchestrator.controller.export import Exported
from orchestrator.controller.export import export as write_study
from orchestrator.controller.garbage import find_garbage
from orchestrator.controller.import_ import Plan as ImportPlan
from orchestrator.controller.import_ import plan_import
from orchestrator.controller.logs import find_log
from orchestrator.controller.merge import import_study
from orchestrator.controller.retry import Retried
from orchestrator.controller.retry import retry as submit_again
from orchestrator.controller.rounds import rounds
from orchestrator.controller.select import Named, select_one
from orchestrator.controller.survey import Survey
from orchestrator.controller.sync import locate_store, sync_sweeps
from orchestrator.controller.watch import sweeps_to_tend
from orchestrator.controller.where import meant, meant_one
from orchestrator.controller.why import explain
from orchestrator.errors import SpecError
from orchestrator.extras import naming_extras
from orchestrator.jobs import layout
from orchestrator.jobs.archive import open_archive

if TYPE_CHECKING:
    from pandas import DataFrame

    from orchestrator.mirror.study import Synced


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Ids of the jobs that were cancelled; ``warnings``: what this machine could not reach."""

    jobs: tuple[str, ...]
    warnings: tuple[str, ...]


class Root(Measured):
    """A run root and all that was launched under it.

    ``jobs`` is what the command line takes: a sweep's name, ``SWEEP/POINT``, or the first four or
    more digits of a job's id; None means every job. ``where`` is an expression over settings and
    what became of jobs, such as ``'lr > 1e-3 and state == "FAILED"'``.

    Tables have what ``--json`` of the verb has: its rows, and the rest of the document in
    ``attrs``. In those of jobs the index ``id`` is the job's, and the axes of sweeps are columns,
    named as in sweep files (``optim.lr``, ``case``, ``seed``). Texts are ``str``, numbers
    ``float64``, counts ``int64``; NaN stands where there is nothing.

    Nothing is ever asked, and nothing printed: what the command line asks about is done with
    ``yes=True``, and refused without.

    Every method may raise `OrchestrateError`: `SpecError` where a name or an expression is wrong,
    `RootError` where there is no run root yet or it is of a newer version, `BusyError` where
    another process is writing it, `PackageError` where a package is not installed. What a disk
    refuses is an `OSError`.
    """

    def __repr__(self) -> str:
        return f"Root({str(self.path)!r})"

    def status(self, jobs: str | None = None, *, where: str | None = None) -> "DataFrame":
        """Each job's state, progress and last metrics; a row is a job.

        Columns: name, axes, state, outcome, reason, epoch, epochs, step, a ``float64`` for each
        metric, attempts, executor, handle, stale_s, older_code and older_weights
        (``bool``), rung.
        ``attrs``: sweep, counts, notes; axes (dicts of axis, value, counts, epochs, epochs_asked),
        spent and to_come (dicts of gpu_hours, cpu_hours), finish.
        """
        root = self._open()
        selected = meant(root, jobs, where)
        sweep = jobs if jobs in root.sweep_names() else None
        return _status(root, sweep, selected, looking.look_at(root, selected))

    def watch(
        self, *sweeps: str, once: bool = False, every: float | None = None
    ) -> Iterator["DataFrame"]:
        """Tend launched sweeps (none named: all) until they have ended; a ``status`` a round.

        What was preempted or lost, and what waited for room, is submitted again. A store in use
        is brought up to date. Whoever stops taking rounds stops the watch; the jobs run on.

        Args:
            sweeps: names of launched sweeps.
            once: whether to leave after one round.
            every: seconds between two rounds [1 on this machine, 15 on a cluster].

        Raises:
            Refused: a place said no to a submission.
        """
        root = self._open()
        names = sweeps_to_tend(root, sweeps)  # here, so that a wrong name is told at once
        return _rounds(root, names, every, once=once)

    def wait(self, *sweeps: str, every: float | None = None) -> "DataFrame":
        """Watch until the sweeps have ended; the last ``status``, in which not all may be DONE."""
        return deque(self.watch(*sweeps, every=every), maxlen=1).pop()

    def why(self, job: str) -> str:
        """What a job waits for, or how it ended; a line for each sentence, the next step last."""
        root = self._open()
        return "\n".join(explain(root, select_one(root, job)).lines)

    def logs(
        self,
        job: str | None = None,
        *,
        where: str | None = None,
        attempt: int | None = None,
        rank: int = 0,
    ) -> str:
        """What a rank of a job has printed, in its newest start or in that of number ``attempt``.

        Raises:
            SpecError: none is meant, or several jobs are.
            OrchestrateError: there is no such log yet.
        """
        root = self._open()
        path = find_log(root, meant_one(root, job, where), attempt=attempt, rank=rank)
        return path.read_text(errors="replace")

    def failures(self, jobs: str | None = None, *, where: str | None = None) -> "DataFrame":
        """What failed, grouped by why; a row is a group.

        Columns: kind, message, count, only (a dict of the settings they have in common), example
        (the name of one), job_ids (a tuple). ``attrs``: sweep, started, failed, rates (dicts of
        axis, value, failed, started, rate), notes.
        """
        root = self._open()
        selected = meant(root, jobs, where)
        found = looking.look_at(root, selected)
        cases = failing.cases_of(root, selected, found)
        document = failing.as_json(
            jobs if jobs in root.sweep_names() else None,
            failing.grouped(cases),
            failing.rates(cases),
            started=len(cases),
            notes=found.troubles,
        )
        return tables.failures(document)

    @naming_extras()
    def retry(
        self, jobs: str | None, *, where: str | None = None, stopped: bool = False
    ) -> Retried:
        """Try again those of the jobs that failed or were given up, with new budgets.

        With ``stopped`` also those that a search stopped: they go to their full length.

        Returns:
            ids of the jobs that were ``submitted``, that are due ``later`` as room comes, that no
            sweep has any more (``orphans``); and ``warnings``.

        Raises:
            Refused: a place did not take them.
            Unclear: a place did not say how much it takes; nothing was submitted there.
        """
        root = self._open()
        return submit_again(root, meant(root, jobs, where), jobs, stopped=stopped)

    def cancel(
        self, jobs: str | None, *, where: str | None = None, why: str = "", yes: bool = False
    ) -> Cancelled:
        """Stop jobs that run or wait; they save their state, and stay so until launched again.

        ``why`` is kept with the order.

        Raises:
            SpecError: ``yes`` is not given; it names whom that would stop.
            Unclear: a place was not heard; the order stands.
        """
        root = self._open()
        named = {job.id: job.name for job in meant(root, jobs, where)}
        changed = cancelling.cancellable(root, list(named))
        if not changed:
            return Cancelled((), ())
        agreed_to(yes, f"cancels {len(changed)} jobs ({', '.join(named[job] for job in changed)})")
        return Cancelled(tuple(changed), tuple(cancelling.cancel(root, changed, why)))

    @naming_extras()
    @naming_extras()
    def sync(self, *names: str, where: str | None = None, store: str | None = None) -> "Synced":
        """Bring MLflow up to date with sweeps or studies (none named: all), and say what it took.

        Raises:
            StoreError: the store does not answer; the next sync catches up.
        """
        root = self._open()
        return sync_sweeps(root, names, locate_store(root, store), where=where)

    def gc(
        self, *jobs: str, where: str | None = None, older_than: float = 0.0, yes: bool = False
    ) -> "DataFrame":
        """What disk space may be freed; with ``yes`` it goes. A row is a kind of thing.

        Columns: what, things, bytes, of_others, bytes_of_others. ``attrs``: bytes, kept (dicts of
        id, name, why), notes. ``older_than``: days in which it was not changed.

        Raises:
            RootError: something refused to go.
        """
        scope, names = collecting.scope_of(self._open(), jobs, where, older_than)
        found = find_garbage(scope)
        things, kept = found.things, found.kept
        if yes:
            freed = collecting.free(scope, found)
            collecting.check_freed(freed)
            things, kept = tuple(freed.things), {**kept, **freed.kept}
        return tables.garbage(collecting.as_json(things, kept, names, found.troubles))

    def export(self, name: str, file: str | Path, *, checkpoints: bool = False) -> Exported:
        """Write a study or a sweep to one file, with the newest checkpoints if asked for."""
        return write_study(self._open(), name, Path(file), checkpoints=checkpoints)

    def import_(self, file: str | Path, *, dry_run: bool = False) -> ImportPlan:
        """Merge such a file into this root, made if there is none; what was, or would be, done."""
        archive = open_archive(Path(file))
        if dry_run:
            return plan_import(layout.Root(self.path), archive)
        return import_study(self.path, archive)


def agreed_to(yes: bool, what: str) -> None:  # noqa: FBT001 - the keyword of whoever calls
    """Refuse what the command line would ask about.

    Raises:
        SpecError: ``yes`` was not said.
    """
    if not yes:
        raise SpecError(f"This {what}. Nothing was done; to do it, say yes=True.")


def _rounds(
    root: layout.Root, sweeps: Sequence[str], every: float | None, *, once: bool
) -> Iterator["DataFrame"]:
    sweep = sweeps[0] if len(sweeps) == 1 else None
    with naming_extras():
        for look in rounds(root, sweeps, every, once=once):
            yield _status(root, sweep, look.jobs, look.found, look.notes)


def _status(
    root: layout.Root,
    sweep: str | None,
    jobs: Sequence[Named],
    found: Survey,
    notes: Sequence[str] = (),
) -> "DataFrame":
    told = dict.fromkeys([*notes, *found.troubles])
    document = outlook.as_json(root, sweep, jobs, found, list(told))
    return tables.status(document, failing.places_of(root, jobs))
