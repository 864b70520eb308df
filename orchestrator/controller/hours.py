"""What jobs that are to come, or under way, still take: hours, devices, and how that is known."""

import math
import os
import socket
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from orchestrator.config import ClusterProfile, JobConfig, Placement, Resources, RunConfig
from orchestrator.config.allotment import devices_of, partition_of, time_minutes
from orchestrator.config.devices import peak_tflops
from orchestrator.controller.pace import Kind, Pace, kind_of, paces, place_of
from orchestrator.controller.submit import Terms
from orchestrator.controller.survey import Survey
from orchestrator.executors.pool_lines import visible_gpus
from orchestrator.jobs.datasets import Manifest
from orchestrator.jobs.facts import JobFacts, read_journals
from orchestrator.jobs.layout import Root
from orchestrator.jobs.state import State
from orchestrator.sweep.cost import epoch_images, training_flops

UTILISATION = 0.35
"""The share of a GPU's peak that training is taken to reach where nothing was measured."""
LIMIT = "its time limit: at most one start"
UNKNOWN = "not known: no job like it ran here, and neither a peak nor a time limit is told"


class Costed(Protocol):
    """A job whose hours are asked for, such as a point of a sweep."""

    @property
    def id(self) -> str: ...
    @property
    def form(self) -> Mapping[str, Any]: ...
    @property
    def placement(self) -> Placement: ...
    @property
    def resources(self) -> Resources: ...
    @property
    def config(self) -> JobConfig: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a job still takes; ``basis`` says in words how that is known."""

    hours: float | None
    """By the clock on the wall; None: not known."""
    devices: int
    gpu: bool
    """Whether the devices are GPUs; else they are cores."""
    basis: str
    crossings: int | None = None
    """How often its time limit ends it and it goes on; None: there is no limit, or no knowing."""

    @property
    def device_hours(self) -> float | None:
        """Hours of all its devices together."""
        return None if self.hours is None else self.hours * self.devices

    @property
    def gpu_hours(self) -> float | None:
        """None: not known; 0 where it uses no GPU."""
        return self.device_hours if self.gpu else 0.0

    @property
    def cpu_hours(self) -> float | None:
        """None: not known; 0 where it uses GPUs."""
        return 0.0 if self.gpu else self.device_hours


@dataclass(frozen=True, slots=True)
class Total:
    """Of several jobs: hours that are known, and how many jobs' are not."""

    gpu_hours: float
    cpu_hours: float
    unknown: int

    @classmethod
    def of(cls, estimates: Iterable[Estimate]) -> Self:
        told = list(estimates)
        return cls(
            gpu_hours=sum(one.gpu_hours or 0.0 for one in told),
            cpu_hours=sum(one.cpu_hours or 0.0 for one in told),
            unknown=sum(one.hours is None for one in told),
        )


def estimates(
    root: Root | None,
    points: Sequence[Costed],
    left: Mapping[str, float],
    terms: Terms,
    data: Mapping[str, Manifest],
) -> dict[str, Estimate]:
    """By job, what the points still take.

    Args:
        root: where jobs like them may have run; None: there is none yet.
        points: those that are to come or under way.
        left: the share of each that is still to be trained.
        terms: where they run.
        data: the datasets by name.
    """
    kinds = kinds_of(points, terms)
    known = paces(root, {*kinds.values()}) if root is not None else {}
    return {
        point.id: estimate(point, left[point.id], terms, data, known.get(kinds[point.id]))
        for point in points
    }


def kinds_of(points: Iterable[Costed], terms: Terms) -> dict[str, Kind]:
    """By job, with which others it takes equally long."""
    host = socket.gethostname()
    return {
        point.id: kind_of(
            point.form["reduced"],
            point.placement,
            place_of(terms.cluster, point.resources, host),
        )
        for point in points
    }


def estimate(
    point: Costed, left: float, terms: Terms, data: Mapping[str, Manifest], pace: Pace | None
) -> Estimate:
    """What one point still takes; ``pace``: what jobs of its kind measured. See ``estimates``."""
    return _estimate(_Asked(point, left, terms.cluster, data, pace))


def shares_left(root: Root, jobs: Iterable[str], found: Survey) -> dict[str, float]:
    """By job, the share of its steps that is still to come."""
    return {
        job: _share_left(root, found.facts[job], running=found.statuses[job].state is State.RUNNING)
        for job in jobs
    }


def _share_left(root: Root, facts: JobFacts, *, running: bool) -> float:
    """Of a job that runs, the steps beyond the last it measured; else beyond its checkpoint."""
    journals = read_journals(root.job(facts.id), facts.discarded) if facts.attempts else []
    if not journals or not journals[-1].steps:
        return 1.0
    last = journals[-1]
    measured = last.points[-1].step if last.points else last.start
    reached = measured if running else max(one.saved for one in facts.attempts)
    return min(1.0, max(0.0, 1 - max(0, reached) / last.steps))


def finish_hours(told: Collection[Estimate], at_once: int | None) -> float | None:
    """Hours until the last of these jobs has ended, ``at_once`` at a time (None: all of them).

    Those of unknown length are left out; None: none is known, or there are none.
    """
    hours = [one.hours for one in told if one.hours is not None]
    if not hours:
        return None
    return max(*hours, sum(hours) / (at_once or len(hours)))


def jobs_at_once(placements: Sequence[Placement], terms: Terms) -> int | None:
    """How many run at a time; None: as many as the cluster has room for."""
    elsewhere = terms.cluster is not None or (terms.ray is not None and terms.ray.address)
    if terms.max_parallel is not None or elsewhere or not placements:
        return terms.max_parallel
    if all(_on_gpus_here(one) for one in placements):
        return max(1, len(visible_gpus()) // max(one.ranks for one in placements))
    threads = max(one.ranks * one.threads_per_rank for one in placements)
    return max(1, len(os.sched_getaffinity(0)) // threads)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A point, and what its estimate can rest on."""

    point: Costed
    left: float
    cluster: ClusterProfile | None
    data: Mapping[str, Manifest]
    pace: Pace | None

    @property
    def limit_h(self) -> float | None:
        """How long one start may train: to where SLURM asks it to stop."""
        if self.cluster is None:
            return None
        minutes = time_minutes(self.cluster, self.point.resources)
        hours = 0.0 if minutes is None else minutes / 60 - self.cluster.stop_before_end_s / 3600
        return hours if hours > 0 else None


def _estimate(asked: _Asked) -> Estimate:
    point = asked.point
    here = bool(visible_gpus())
    count, gpu = devices_of(point.placement, point.resources, asked.cluster, gpus_here=here)
    limit = asked.limit_h
    for basis in (_measured, _from_operations):
        if (found := basis(asked)) is None:
            continue
        hours, words = found[0] * asked.left, found[1]
        crossings = None if limit is None else max(0, math.ceil(hours / limit) - 1)
        return Estimate(hours=hours, devices=count, gpu=gpu, basis=words, crossings=crossings)
    if limit is not None:
        return Estimate(hours=limit, devices=count, gpu=gpu, basis=LIMIT)
    return Estimate(hours=None, devices=count, gpu=gpu, basis=UNKNOWN)


def _on_gpus_here(placement: Placement) -> bool:
    return placement.device == "cuda" or (placement.device == "auto" and bool(visible_gpus()))


def _measured(asked: _Asked) -> tuple[float, str] | None:
    """Hours of the whole job by what jobs like it measured."""
    pace, config = asked.pace, asked.point.config
    if pace is None:
        return None
    jobs = f"{pace.jobs} job{'s' * (pace.jobs > 1)} like it here"
    if not isinstance(config, RunConfig):
        whole_s = pace.whole_s
        return None if whole_s is None else (whole_s / 3600, f"{jobs}: {whole_s:.3g} s each")
    epochs = config.train.epochs
    if pace.epoch_s is not None:
        return epochs * pace.epoch_s / 3600, f"{jobs}: {pace.epoch_s:.3g} s an epoch"
    data = asked.data.get(config.data.name)
    if pace.images_per_s is None or data is None:
        return None
    images = epoch_images(config, data)
    hours = epochs * images / pace.images_per_s / 3600
    return hours, f"{jobs}: {pace.images_per_s:.4g} images/s"


def _from_operations(asked: _Asked) -> tuple[float, str] | None:
    """Hours of the whole job by its operations, but for evaluation and probes."""
    placement, config = asked.point.placement, asked.point.config
    if not isinstance(config, RunConfig):
        return None
    peak, of = placement.peak_tflops, "placement.peak_tflops"
    if peak is None and asked.cluster is not None and config.train.precision == "bf16":
        of = partition_of(asked.cluster, asked.point.resources)[1].gpu_type
        peak = peak_tflops(of)
    data = asked.data.get(config.data.name)
    if peak is None or data is None:
        return None
    rate = placement.ranks * peak * 1e12 * UTILISATION
    words = f"operations at {UTILISATION:.0%} of {peak:g} TFLOP/s ({of}), which is assumed"
    return training_flops(config, data) / rate / 3600, words
