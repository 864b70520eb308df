"""Layers of settings, each setting with the place it was written at.

A layer maps dotted keys to settings. One is laid over another key by key, so a mapping is merged
into what is below it. Null clears: over a group it takes the whole group away. A mapping over a
group that is null starts that group from its defaults, and so does the empty mapping.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.sweep import keys
from orchestrator.sweep.faults import Faults
from orchestrator.sweep.strict_yaml import Document, KeyPath, Place, Plain

SEED = "seed is not set here; list the seeds under seeds, as in seeds: [0, 1, 2]"


@dataclass(frozen=True, slots=True)
class Setting:
    """One value of a configuration, and where it comes from."""

    value: Plain
    place: Place


Layer = Mapping[str, Setting]


def layer_of(
    plain: Mapping[str, Plain], document: Document, path: KeyPath, faults: Faults
) -> Layer:
    """The layer written in ``document`` at ``path``; unknown and repeated keys become faults."""
    layer: dict[str, Setting] = {}
    for key, value, written_at in _leaves(plain, path):
        setting = Setting(value, document.place(written_at))
        problem = _refuse(key, value) or _refuse_repeat(key, layer)
        if problem:
            faults.add(setting.place, problem)
        elif value != {} or key not in keys.SECTIONS - keys.NULLABLE_SECTIONS:
            layer[key] = setting
    return layer


def refuse_seed(layer: Layer, faults: Faults) -> None:
    """Note a seed in a layer of a file, where ``seeds`` decides it."""
    if "seed" in layer:
        faults.add(layer["seed"].place, SEED)


def overlaid(base: Layer, layer: Layer) -> Layer:
    """``base`` with ``layer`` over it."""
    merged = dict(base)
    for key, setting in layer.items():
        below = [other for other in merged if other.startswith(f"{key}.")]
        if setting.value == {} and below:
            continue
        for replaced in (key, *below, *keys.ancestors(key)):
            merged.pop(replaced, None)
        merged[key] = setting
    return merged


def value_at(layer: Layer, key: str) -> Plain:
    """What ``key`` is in the configuration of ``layer``, as ``RunConfig`` will have it.

    A group that may be null is null or true; what belongs to one that is null is null.
    """
    if key in keys.SECTIONS:
        return True if key not in keys.NULLABLE_SECTIONS or _has_group(layer, key) else None
    if key in layer:
        value = layer[key].value
        return float(value) if type(value) is int and key in keys.FLOATS else value
    groups = (group for group in keys.ancestors(key) if group in keys.NULLABLE_SECTIONS)
    default: Plain = keys.DEFAULTS[key]
    return default if all(_has_group(layer, group) for group in groups) else None


def _has_group(layer: Layer, key: str) -> bool:
    if key in layer:
        return layer[key].value is not None
    return any(written.startswith(f"{key}.") for written in layer)


def nested(layer: Layer) -> dict[str, Any]:
    """The values as the mapping of mappings that ``RunConfig.from_plain`` takes."""
    plain: dict[str, Any] = {
        key: {}
        for key in keys.SECTIONS - keys.NULLABLE_SECTIONS - keys.OF_CHILDREN_ALONE
        if "." not in key
    }
    for key, setting in layer.items():
        *parents, leaf = key.split(".")
        section = plain
        for parent in parents:
            section = section.setdefault(parent, {})
        section[leaf] = setting.value
    return plain


def _leaves(
    plain: Mapping[str, Plain], path: KeyPath, prefix: str = ""
) -> Iterator[tuple[str, Plain, KeyPath]]:
    for name, value in plain.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*path, name), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value, (*path, name)


def _refuse(key: str, value: Plain) -> str | None:
    if key in keys.SECTIONS:
        if value == {} or (value is None and key in keys.NULLABLE_SECTIONS):
            return None
        also = " or null" if key in keys.NULLABLE_SECTIONS else ""
        return f"{key} is a group of settings; give it a mapping{also}"
    return keys.unknown_setting(key)


def _refuse_repeat(key: str, layer: Layer) -> str | None:
    for other, setting in layer.items():
        if keys.related(key, other):
            return f"{key} is decided twice, first by {other} at {setting.place}"
    return None
