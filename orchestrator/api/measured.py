"""What the jobs of a run root measured, from Python."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.api import tables
from orchestrator.controller import compare as comparing
from orchestrator.controller import failures as failing
from orchestrator.controller import usage as using
from orchestrator.controller.select import select_one
from orchestrator.controller.subjects import jobs_meant
from orchestrator.controller.where import meant
from orchestrator.extras import naming_extras
from orchestrator.jobs import layout
from orchestrator.jobs.gather import attempts_on
from orchestrator.jobs.located import locate_root
from orchestrator.jobs.probes import probes_by_step
from orchestrator.jobs.store import open_root
from orchestrator.results.groups import grouped
from orchestrator.results.histories import read_histories
from orchestrator.results.result import axes_of, check_question, read_results

if TYPE_CHECKING:
    from pandas import DataFrame

Words = str | Sequence[str]
"""One word, or several."""


class Measured:
    """The half of a `Root` that only reads; see there for what all its methods have in common."""

    def __init__(self, path: str | Path | None = None) -> None:
        """``path``: None means $ORCHESTRATE_ROOT, the nearest ``runs`` upward, else ``./runs``."""
        self.path = locate_root(None if path is None else str(path))

    def results(
        self,
        *sweeps: str,
        metric: str = "val/top1",
        also: Words = (),
        by: Words = (),
        where: str | None = None,
        at: str = "last",
        baseline: str | None = None,
        margin: float | None = None,
        choose: str | None = None,
        on_seed: int = 0,
        norms: str | Path | None = None,
    ) -> "DataFrame":
        """Mean and spread over seeds of a metric; a row is a group of jobs.

        Columns: the axes of ``by`` (none: all but the seed), n, missing, diverged, stopped, mean,
        std, low and high (of the 95 % interval), job_ids, mixes, values, flags (tuples), and the
        means of ``also`` by name. With a ``baseline`` also those of a
        `results.contrasts.Contrast`, named contrast.difference and so on; its own row has none.
        ``attrs``: metric, by, at,
        selected_on_reported, chosen, baseline, detectable, notes.

        Args:
            sweeps: names of launched sweeps, or of studies; a job of several counts once.
            metric: what is averaged.
            also: further metrics, of which the mean is told.
            by: axes or settings.
            where: an expression; the jobs for which it holds.
            at: last, best, epoch=N, macs=X, hours=X, or the smallest total of macs or hours.
            baseline: an expression that holds for one row, with which all others are compared.
            margin: within it a difference does not matter [0.5 points of a percentage].
            choose: an axis, whose value is chosen for each row on one seed, and reported on others.
            on_seed: that seed.
            norms: a picture to draw, of every group's patch norms.
        """
        from orchestrator.controller.results import answer
        from orchestrator.results.answer import Question, as_json
        from orchestrator.results.notes import notes_of

        root = self._open()
        asked = Question(
            metric=metric,
            also=several(also),
            by=several(by),
            at=at,
            baseline=baseline,
            margin=margin,
            choose=choose,
            on_seed=on_seed,
        )
        found = answer(root, sweeps, where, asked)
        notes = [*found.faults, *notes_of(found)]
        if norms is not None:
            from orchestrator.results.plots import draw_norms

            notes += draw_norms(root, found.groups, Path(norms))
        return tables.results(as_json(found, notes), asked.also)

    def usage(
        self, jobs: str | None = None, *, by: Words = (), where: str | None = None
    ) -> "DataFrame":
        """What jobs took of what they asked for: all together, then by value of each axis.

        Columns: axis and value (NaN: all together), jobs, done, starts, limits_reached, hours,
        hours_lost, gpu_hours, gpu_hours_lost, gpu_hours_idle; and of time_s, memory_gb,
        gpu_memory_gb, gpu_busy, cpus and waiting what attempts told, such as memory_gb.median,
        .most, .asked and .n. ``attrs``: sweep, shapes (dicts; with what may be asked for in place
        of it), untold.
        """
        root = self._open()
        told = using.report(root, meant(root, jobs, where), several(by))
        sweep = jobs if jobs in root.sweep_names() else None
        return tables.usage(using.as_json(sweep, told))

    @naming_extras()
    def compare(self, one: str, other: str) -> "DataFrame":
        """In what two jobs differ, and in what they measured; a row is a metric.

        Columns: metric, one and other (last values), parts_at (the first step at which they
        differ), gap (the largest, the second less the first) and gap_at (its step), common (steps
        that both measured). ``attrs``: one, other (dicts of id, name, ending, epoch, predicted,
        faults), differs (dicts of aspect, what, one, other), answers (of the same images; None
        where they are not known).
        """
        root = self._open()
        found = comparing.compare(root, select_one(root, one), select_one(root, other))
        return tables.compare(comparing.as_json(found))

    @naming_extras()
    def emergence(self, *sweeps: str, by: Words = (), where: str | None = None) -> "DataFrame":
        """When high-norm artifacts emerged in each job of sweeps or a study; a row is a job.

        Columns: name, the axes of ``by`` (none: all but the seed), answer (in words), after and by
        (the interval of epochs; NaN where they did not, or it cannot be told), blocks, until,
        lasting, undecided, lists_of_images. ``attrs``: by, rule, notes, and arms (dicts of axes,
        seeds, judged, emerged).
        """
        from orchestrator.results import emergence as rule

        root = self._open()
        found = rule.that_train(read_results(root, jobs_meant(root, sweeps, where)))
        check_question(found, (), several(by))
        axes = several(by) or axes_of(found)
        arms = rule.arms_of(root, grouped(found, "", axes), found)
        return tables.emergence(rule.as_json(axes, arms))

    def history(
        self, jobs: str | None = None, *, where: str | None = None, metrics: Words = ()
    ) -> "DataFrame":
        """The curves: all that jobs measured, each step once; a row is one value.

        Columns: job (id), name, axes, step, epoch, time (UTC epoch seconds), metric, value. What
        is of attempts that were resumed below it, or discarded, is left out. ``metrics``: these
        alone.
        """
        root = self._open()
        selected = meant(root, jobs, where)
        told = read_histories(root, [job.id for job in selected])
        places = failing.places_of(root, selected)
        return tables.history(selected, told, places, {*several(metrics)})

    def probes(self, job: str) -> "DataFrame":
        """The files that a job's probes left, for ``numpy.load``; a row is a probe.

        Columns: step, file. Those that no longer count are left out.
        """
        root = self._open()
        one = select_one(root, job)
        files = probes_by_step(root.job(one.id).probes, attempts_on(root, [one.id])[one.id])
        return tables.probes(files)

    @naming_extras()
    def report(
        self, name: str, *, out: str | Path | None = None, figures: str | Path | None = None
    ) -> tuple[Path, ...]:
        """Write the answer of a study or a sweep as one page; its path, then those of figures.

        ``out``: the page, NAME.html in the current folder; what is there is replaced. ``figures``:
        a folder in which each figure is kept, too, as SVG and PDF.
        """
        from orchestrator.controller.report import report as write_page

        page, kept = Path(out or f"{name}.html"), None if figures is None else Path(figures)
        return tuple(write_page(self._open(), name, page, kept))

    def _open(self) -> layout.Root:
        return open_root(self.path)


def several(words: Words) -> list[str]:
    """A word alone is one, and not its letters."""
    return [words] if isinstance(words, str) else list(words)
