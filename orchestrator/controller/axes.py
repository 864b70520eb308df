"""Things of a sweep by the values that their points have on its axes."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from orchestrator.sweep.names import text_of

Thing = TypeVar("Thing")


def by_axis(
    placed: Iterable[tuple[Mapping[str, Any], Thing]],
) -> list[tuple[str, str, list[Thing]]]:
    """Axis, value as names have it, and what stands there; only axes on which these differ.

    Axes and their values are in the order in which they first come.
    """
    groups: dict[tuple[str, str], list[Thing]] = {}
    for axes, thing in placed:
        for axis, value in axes.items():
            groups.setdefault((axis, text_of(value)), []).append(thing)
    values = Counter(axis for axis, _ in groups)
    order = {axis: place for place, axis in enumerate(values)}
    told = [(axis, value, things) for (axis, value), things in groups.items() if values[axis] > 1]
    return sorted(told, key=lambda one: order[one[0]])
