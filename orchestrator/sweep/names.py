"""Readable names of points: safe as a file name, short, and unique within a sweep."""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.sweep.axes import CASE
from orchestrator.sweep.strict_yaml import Plain

LONGEST = 120
UNVARIED = "base"
"""The name of a point that no axis distinguishes."""
_UNSAFE = re.compile(r"[^A-Za-z0-9_.,=+-]")

Axes = Mapping[str, Plain]


def unique_names(points: Sequence[tuple[str, Axes]]) -> list[str]:
    """A name for each id with its axis values: short, longer on a collision, at last by id."""
    speller = _Speller.of([axes for _, axes in points])
    names = [speller.short(axes) for _, axes in points]
    for respell in (speller.long, speller.identified):
        times = Counter(names)
        names = [
            name if times[name] == 1 and len(name) <= LONGEST else respell(axes, id_)
            for name, (id_, axes) in zip(names, points, strict=True)
        ]
    return names


def text_of(value: Plain) -> str:
    """A value in a name: ``4``, ``0.001``, ``true``, ``none``, ``value-false`` for a mapping."""
    if isinstance(value, dict):
        return "-".join(map(text_of, value.values())) or "default"
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value)
    return _UNSAFE.sub("_", text)


@dataclass(frozen=True, slots=True)
class _Speller:
    labels: Mapping[str, str]
    """The shortest end of each axis key that no other axis of the sweep has."""
    seeded: bool

    @classmethod
    def of(cls, points: Sequence[Axes]) -> "_Speller":
        keys = {key for axes in points for key in axes}
        seeds = {axes["seed"] for axes in points if "seed" in axes}
        return cls({key: label(key, keys) for key in keys}, len(seeds) > 1)

    def short(self, axes: Axes) -> str:
        parts = (
            text_of(value) if key == CASE else f"{self.labels[key]}={text_of(value)}"
            for key, value in self._told(axes).items()
        )
        return ",".join(parts) or UNVARIED

    def long(self, axes: Axes, _: str) -> str:
        return ",".join(_long_parts(self._told(axes))) or UNVARIED

    def identified(self, axes: Axes, id_: str) -> str:
        return f"{self.short(axes)[: LONGEST - 13]},{id_[:12]}"

    def _told(self, axes: Axes) -> Axes:
        return {key: value for key, value in axes.items() if self.seeded or key != "seed"}


def label(key: str, keys: Collection[str]) -> str:
    """The shortest end of a setting's key that none of the other ``keys`` has."""
    parts = key.split(".")
    ends = (".".join(parts[n:]) for n in range(len(parts) - 1, 0, -1))
    taken = {*keys} - {key}
    return next((end for end in ends if not any(f".{k}".endswith(f".{end}") for k in taken)), key)


def _long_parts(axes: Axes) -> Iterator[str]:
    for key, value in axes.items():
        if isinstance(value, dict) and value:
            yield from (f"{key}.{text_of(name)}={text_of(part)}" for name, part in value.items())
        else:
            yield text_of(value) if key == CASE else f"{key}={text_of(value)}"
