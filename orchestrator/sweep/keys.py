"""Every key a configuration has, derived from the types of RunConfig."""

import dataclasses
import difflib
from collections.abc import Collection, Iterator
from typing import get_args, get_type_hints

from pydantic import BaseModel

from orchestrator.config import RunConfig

_NOT_YET = {
    key: f"{key} is not supported by this version"
    for key in ("zip", "where", "derive", "range", "logspace", "search", "of")
}


def _walk(owner: type, prefix: str = "") -> Iterator[tuple[str, bool, bool]]:
    """Key, whether it is a section, whether it may be null."""
    for name, annotation in _fields(owner):
        choices = get_args(annotation) or (annotation,)
        section = next((choice for choice in choices if _is_section(choice)), None)
        yield f"{prefix}{name}", section is not None, type(None) in choices
        if section is not None:
            yield from _walk(section, f"{prefix}{name}.")


def _fields(owner: type) -> Iterator[tuple[str, object]]:
    if issubclass(owner, BaseModel):
        yield from ((name, field.annotation) for name, field in owner.model_fields.items())
    else:
        yield from get_type_hints(owner).items()


def _is_section(choice: object) -> bool:
    return isinstance(choice, type) and (
        issubclass(choice, BaseModel) or dataclasses.is_dataclass(choice)
    )


LEAVES = tuple(key for key, is_section, _ in _walk(RunConfig) if not is_section)
"""Keys of single values, such as ``optim.lr``."""
SECTIONS = frozenset(key for key, is_section, _ in _walk(RunConfig) if is_section)
"""Keys of groups, such as ``model`` and ``model.gate``."""
NULLABLE_SECTIONS = frozenset(
    key for key, is_section, null in _walk(RunConfig) if is_section and null
)
"""Groups that may be absent: ``model.gate``."""


def ancestors(key: str) -> Iterator[str]:
    """``a.b`` and ``a`` for ``a.b.c``."""
    while "." in key:
        key = key.rpartition(".")[0]
        yield key


def related(key: str, other: str) -> bool:
    """Whether one is the other, or a group that the other belongs to."""
    return f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.")


def unknown_setting(key: str, *also: str) -> str | None:
    """Why ``key`` is no configuration key and none of ``also``; None if it is one."""
    if key in SECTIONS or key in LEAVES or key in also:
        return None
    if key in _NOT_YET:
        return _NOT_YET[key]
    groups = sorted(section for section in SECTIONS if "." not in key)
    return f"{key} is not a configuration key{_hint(key, (*also, *LEAVES, *groups))}"


def unknown_key(key: str, known: Collection[str]) -> str:
    """Why ``key``, which is none of ``known``, is refused, and what to do instead."""
    if key in _NOT_YET:
        return f"{_NOT_YET[key]}; known keys: {', '.join(known)}"
    if unknown_setting(key) is None:
        return f"{key} is a configuration key; write it under set"
    return unlisted_key(key, known)


def unlisted_key(key: str, known: Collection[str]) -> str:
    """That ``key`` is none of ``known``, and which of them was meant."""
    return f"{key} is not a key here{_hint(key, known)}"


def _hint(key: str, known: Collection[str]) -> str:
    if near := _nearest(key, known):
        return f"; nearest: {near}"
    beside = [name for name in known if name.startswith(f"{key.rpartition('.')[0]}.")]
    return f"; known keys: {', '.join(beside or known)}"


def _nearest(key: str, known: Collection[str]) -> str | None:
    """The known key whose end is ``key``, else the one most alike, as a whole or by its end."""
    by_end = {name.rpartition(".")[2]: name for name in reversed(tuple(known))}
    if key in by_end:
        return by_end[key]
    if whole := difflib.get_close_matches(key, known, n=1, cutoff=0.75):
        return whole[0]
    ends = difflib.get_close_matches(key.rpartition(".")[2], by_end, n=1, cutoff=0.7)
    return by_end[ends[0]] if ends else None
