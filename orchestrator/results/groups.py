"""From results to one table: a row per group of points, seeds folded."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.jobs.facts import Ending
from orchestrator.results.provenance import flags
from orchestrator.results.result import SEED, Result, axes_of, settings_of
from orchestrator.results.spread import deviation, interval, mean

APART = (SEED, "of")
"""Settings that differ between seeds of one and the same method: a child's parent is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Points that agree on the chosen axes. ``std`` is the sample's, ``ci95`` Student's."""

    axes: Mapping[str, Any]
    n: int
    missing: int
    diverged: int
    mean: float | None
    std: float | None
    ci95: tuple[float, float] | None
    job_ids: tuple[str, ...]
    also: Mapping[str, float | None]
    """Means of further metrics."""
    mixes: tuple[str, ...]
    """Axes other than the seed on which the points of the group differ; where they agree on all of
    them, settings on which they differ."""
    values: tuple[float, ...] = ()
    """What the mean is of."""
    stopped: int = 0
    """By a search, and not whole; at a moment that they have passed they count like any other."""
    flags: tuple[str, ...] = ()
    """What else its points have not in common, or are: see `provenance.flags`."""


def grouped(
    results: Sequence[Result], metric: str, by: Sequence[str], also: Sequence[str] = ()
) -> list[Group]:
    """Fold results over everything but the axes ``by``."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        place = {axis: result.at(axis) for axis in by}
        groups.setdefault(json.dumps(place, sort_keys=True), []).append(result)
    return [_group(members, metric, by, also) for members in groups.values()]


def _group(members: Sequence[Result], metric: str, by: Sequence[str], also: Sequence[str]) -> Group:
    finished = [r for r in members if r.counts]
    diverged = sum(r.ending is Ending.DIVERGED for r in members)
    stopped = sum(r.stopped and not r.counts for r in members)
    values = [r.metrics[metric] for r in finished if metric in r.metrics]
    return Group(
        axes={axis: members[0].at(axis) for axis in by},
        n=len(values),
        missing=len(members) - len(values) - diverged - stopped,
        diverged=diverged,
        stopped=stopped,
        mean=mean(values),
        std=deviation(values),
        ci95=interval(values),
        job_ids=tuple(r.id for r in members),
        also={name: _mean(finished, name) for name in also},
        mixes=_mixes(members, by),
        values=tuple(values),
        flags=flags([r.made for r in members]),
    )


def _mixes(members: Sequence[Result], by: Sequence[str]) -> tuple[str, ...]:
    others = [axis for axis in axes_of(members) if axis not in by]
    differ = tuple(a for a in others if len({json.dumps(r.at(a)) for r in members}) > 1)
    if differ or len(members) < 2:
        return differ
    settings = [settings_of(r) for r in members if r.config]
    keys = sorted({key for one in settings for key in one} - {*APART, *by})
    return tuple(k for k in keys if len({json.dumps(one.get(k)) for one in settings}) > 1)


def _mean(results: Sequence[Result], metric: str) -> float | None:
    return mean([r.metrics[metric] for r in results if metric in r.metrics])


def cell(value: Any) -> Any:
    """An axis value in a table for programs: a group of settings as JSON, to be read back."""
    return json.dumps(value) if isinstance(value, dict | list) else value


def label(value: Any) -> str:
    """An axis value as a table shows it."""
    if isinstance(value, Mapping):
        return ",".join(label(part) for part in value.values())
    if value is None:
        return "-"
    return str(value)
