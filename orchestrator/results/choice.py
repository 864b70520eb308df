"""A setting chosen by its result on one seed, and reported on the others."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.jobs.facts import Ending
from orchestrator.results.moments import check_best
from orchestrator.results.result import SEED, Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was chosen in a group.

    Attributes:
        place: the group, by its place on the other axes.
        value: the chosen value; None where nothing could be chosen.
        told: of so many of the group's values the seed by which it is chosen is there.
        values: so many values the group has.
        diverged: with so many of them it diverged.
    """

    place: Mapping[str, Any]
    value: Any
    told: int
    values: int
    diverged: int = 0


def choose(
    results: Sequence[Result], axis: str, others: Sequence[str], metric: str, seed: int
) -> tuple[list[Result], list[Choice]]:
    """Of each group on the other axes the value of ``axis`` that is best on one seed.

    Returns:
        the results of the chosen values on all other seeds, so that none of those that were chosen
        by is reported; and what was chosen. The first of equals is. A seed that diverged speaks
        against its value, one that is missing leaves it out.

    Raises:
        SpecError: of the metric neither direction is known to be better.
    """
    better = check_best(metric)
    groups: dict[str, list[Result]] = {}
    for one in results:
        place = [one.at(name) for name in others]
        groups.setdefault(json.dumps(place, sort_keys=True), []).append(one)
    kept, choices = [], []
    for members in groups.values():
        of_seed = [one for one in members if one.at(SEED) == seed]
        told = [one for one in of_seed if _tells(one, metric)]
        best = max(told, key=lambda one: better * _value(one, metric, better), default=None)
        value = None if best is None else best.at(axis)
        choices.append(
            Choice(
                place={name: members[0].at(name) for name in others},
                value=value,
                told=_values(told, axis),
                values=_values(members, axis),
                diverged=_values([o for o in of_seed if o.ending is Ending.DIVERGED], axis),
            )
        )
        if best is not None:
            kept += [one for one in members if one.at(axis) == value and one.at(SEED) != seed]
    return kept, choices


def _values(results: Sequence[Result], axis: str) -> int:
    return len({json.dumps(one.at(axis), sort_keys=True) for one in results})


def _tells(one: Result, metric: str) -> bool:
    return one.counts and metric in one.metrics


def _value(one: Result, metric: str, better: int) -> float:
    """The worst there is, of a value that is no number."""
    value = one.metrics[metric]
    return value if math.isfinite(value) else -better * math.inf
