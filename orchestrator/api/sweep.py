"""A sweep file from Python: planned, launched, watched, compared."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from orchestrator.api import tables
from orchestrator.api.measured import Words, several
from orchestrator.api.root import Cancelled, Root, agreed_to
from orchestrator.controller import plan as planning
from orchestrator.controller.afresh import to_begin_afresh
from orchestrator.controller.launch import Wishes
from orchestrator.controller.launch import launch as submit
from orchestrator.controller.launched import Launched
from orchestrator.controller.loading import Loaded, load
from orchestrator.controller.planned import as_json
from orchestrator.controller.retry import Retried
from orchestrator.controller.where import points_meant
from orchestrator.errors import SpecError
from orchestrator.extras import naming_extras
from orchestrator.results.result import Result, places
from orchestrator.sweep.cost import arms_of

if TYPE_CHECKING:
    from pandas import DataFrame


class Sweep:
    """A sweep file, checked and expanded, and the run root in which it is launched.

    `plan` and `launch` take the points as they were loaded. All other methods are those of `Root`
    for the sweep's name: they tell of its newest launch.
    """

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self.root = Root(loaded.root_path)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - the word of sweep files
        seeds: Sequence[int] | None = None,
        executor: str | None = None,
        cluster: str | Path | None = None,
        address: str | None = None,
        root: str | Path | None = None,
        data_root: str | Path | None = None,
    ) -> Self:
        """Read a sweep file; nothing is written.

        Args:
            path: the file.
            set: configuration keys to set at every point, such as ``{"train.epochs": 2}``.
            seeds: in place of the sweep's.
            executor: where to run, in place of the sweep's.
            cluster: the file of the cluster's profile [$ORCHESTRATE_CLUSTER,
                ~/.config/orchestrate/cluster.yaml, slurm/cluster.yaml].
            address: with the executor ray, the cluster [$RAY_ADDRESS, the profile's, one on this
                machine].
            root: the run root [$ORCHESTRATE_ROOT, the nearest runs/ upward, ./runs].
            data_root: folder of the datasets [$ORCHESTRATE_DATA, the profile's, ./data].

        Raises:
            SpecError: a line for each fault: file, line, key, what is wrong, what is allowed.
        """
        loaded = load(
            path,
            root_path=Root(root).path,
            overrides=[_override(key, value) for key, value in (set or {}).items()],
            seeds=seeds,
            executor=executor,
            cluster_file=None if cluster is None else str(cluster),
            address=address,
            data_root=None if data_root is None else str(data_root),
        )
        return cls(loaded)

    @property
    def name(self) -> str:
        """The sweep's name, by which all else finds it."""
        return self._loaded.sweep.name

    def __len__(self) -> int:
        return len(self._loaded.sweep.points)

    def __repr__(self) -> str:
        where = self._loaded.sweep.executor
        return f"<Sweep {self.name}: {len(self)} jobs, executor {where}, {self.root!r}>"

    @naming_extras()
    def plan(
        self,
        *,
        where: str | None = None,
        script: bool = False,
        images: int | None = None,
        max_gpu_hours: float | None = None,
    ) -> "DataFrame":
        """What a launch would do and cost; nothing is written. A row is a job.

        Columns: name, axes, state, reason, hours (by the clock), gpu_hours, cpu_hours (NaN: not
        known), crossings (time limits that end it), basis (from what hours are known), config (a
        nested dict). ``attrs``: sweep, counts, axes, shapes, gpu_hours, cpu_hours, unknown, finish
        (UTC epoch seconds), flops, disk, supposed, decoded, notes; with ``script`` also scripts:
        what would be submitted, by the name of one of the jobs. A dataset that is not there yet is
        taken to have ``images`` training images, if that is given.

        Raises:
            SpecError: ``where`` holds for no point, the sweep does not fit its data, its place
                would refuse it, or it would take more than ``max_gpu_hours``, or the sweep's own
                where that is None.
            DataError: a dataset is missing or damaged.
        """
        one = self._loaded
        sweep = points_meant(one.sweep, one.root_path, where)
        planned = planning.plan(
            sweep,
            root_path=one.root_path,
            data_root=one.data_root,
            cluster=one.cluster,
            ray=one.ray,
            images=images,
        )
        notes = planning.check_plan(planned, max_gpu_hours)
        beside: dict[str, Any] = {"notes": notes}
        if script:
            beside["scripts"] = {shape.example: shape.script for shape in planned.shapes}
        points = [Result(p.id, p.axes, None, {}, p.config.to_plain()) for p in sweep.points]
        return tables.plan(as_json(planned), places(points), beside)

    def flops(self) -> "DataFrame":
        """Parameters and multiply-accumulates of every arm, of one image; a row is an arm.

        Columns: name, config (a dict), params, forward_macs, relative_to_vanilla,
        relative_to_first, training_macs, attention.
        """
        arms = arms_of(self._loaded.sweep)
        return tables.flops([arm.to_plain() for arm in arms])

    @naming_extras()
    def launch(
        self,
        *,
        controller: bool = False,
        canary: bool = False,
        fresh: Words = (),
        deterministic: bool = False,
        max_gpu_hours: float | None = None,
        every: float | None = None,
        yes: bool = False,
    ) -> Launched:
        """Run what the sweep asks for and is not done yet; returns once it is submitted.

        Args:
            controller: whether a small job on the cluster tends the sweep, ``every`` so many
                seconds [60]. Without one it is tended while somebody takes the rounds of `watch`.
            canary: whether one job of each shape takes steps first.
            fresh: jobs whose measurements are discarded: all, older, names of points.
            deterministic: whether all train with ``placement.deterministic``.
            max_gpu_hours: what all starts of the jobs may take together, in place of the sweep's.
            every: see ``controller``.
            yes: that ``fresh`` discards what was measured.

        Returns:
            ids of the jobs ``submitted``, due ``later``, held ``behind`` trial jobs, how many were
            ``left_alone`` by state, and ``warnings``.

        Raises:
            SpecError: as `plan`; or ``fresh`` would discard something and ``yes`` is not given.
            DataError: a dataset is missing or damaged.
            Refused: the place did not take it.
            Unclear: the place did not say how much it takes; nothing was submitted.
        """
        one = self._loaded
        anew = to_begin_afresh(one.sweep, one.root_path, several(fresh))
        if anew:
            agreed_to(yes, f"discards what {', '.join(anew.values())} measured and saved")
        wishes = Wishes(
            controller=controller,
            every_s=every,
            fresh=list(anew),
            canary=canary,
            deterministic=deterministic,
            max_gpu_hours=max_gpu_hours,
        )
        return submit(
            one.sweep,
            root_path=one.root_path,
            data_root=one.data_root,
            cluster=one.cluster,
            ray=one.ray,
            wishes=wishes,
        )

    def watch(self, *, once: bool = False, every: float | None = None) -> Iterator["DataFrame"]:
        """See `Root.watch`."""
        return self.root.watch(self.name, once=once, every=every)

    def wait(self, *, every: float | None = None) -> "DataFrame":
        """See `Root.wait`."""
        return self.root.wait(self.name, every=every)

    def status(self, *, where: str | None = None) -> "DataFrame":
        """See `Root.status`."""
        return self.root.status(self.name, where=where)

    def failures(self, *, where: str | None = None) -> "DataFrame":
        """See `Root.failures`."""
        return self.root.failures(self.name, where=where)

    def retry(self, *, where: str | None = None, stopped: bool = False) -> Retried:
        """See `Root.retry`."""
        return self.root.retry(self.name, where=where, stopped=stopped)

    def cancel(self, *, where: str | None = None, why: str = "", yes: bool = False) -> Cancelled:
        """See `Root.cancel`."""
        return self.root.cancel(self.name, where=where, why=why, yes=yes)

    def results(
        self,
        *,
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
        """See `Root.results`."""
        return self.root.results(
            self.name,
            metric=metric,
            also=also,
            by=by,
            where=where,
            at=at,
            baseline=baseline,
            margin=margin,
            choose=choose,
            on_seed=on_seed,
            norms=norms,
        )

    def usage(self, *, by: Words = (), where: str | None = None) -> "DataFrame":
        """See `Root.usage`."""
        return self.root.usage(self.name, by=by, where=where)

    def emergence(self, *, by: Words = (), where: str | None = None) -> "DataFrame":
        """See `Root.emergence`."""
        return self.root.emergence(self.name, by=by, where=where)

    def history(self, *, where: str | None = None, metrics: Words = ()) -> "DataFrame":
        """See `Root.history`."""
        return self.root.history(self.name, where=where, metrics=metrics)


def _override(key: str, value: Any) -> str:
    """A setting as ``--set`` takes it: YAML, of which JSON is a part."""
    try:
        return f"{key}={json.dumps(value)}"
    except TypeError:
        raise SpecError(
            f"set: the value of {key} is a {type(value).__name__}; give a number, a text, true or "
            "false, None, or a list or dict of these"
        ) from None
