"""Every key a configuration has, derived from the types of those of all tasks."""

import dataclasses
import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard, get_args, get_type_hints

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from orchestrator.config import CHILDREN, RunConfig


@dataclass(frozen=True, slots=True)
class _Key:
    name: str
    section: type | None
    nullable: bool
    choices: tuple[object, ...]
    """The types that its value may have."""
    default: Any
    """As pydantic has it: undefined where it must be written."""


def _walk(owner: type, prefix: str = "") -> Iterator[_Key]:
    for name, annotation, default in _fields(owner):
        choices = get_args(annotation) or (annotation,)
        section = next((choice for choice in choices if _is_section(choice)), None)
        yield _Key(f"{prefix}{name}", section, type(None) in choices, choices, default)
        if section is not None:
            yield from _walk(section, f"{prefix}{name}.")


def _fields(owner: type) -> Iterator[tuple[str, object, Any]]:
    """Name, type and default of each field."""
    if issubclass(owner, BaseModel):
        for name, field in owner.model_fields.items():
            yield name, field.annotation, field.get_default(call_default_factory=True)
    elif dataclasses.is_dataclass(owner):
        types = get_type_hints(owner)
        for one in dataclasses.fields(owner):
            yield one.name, types[one.name], one.default


def _is_section(choice: object) -> TypeGuard[type]:
    return isinstance(choice, type) and (
        issubclass(choice, BaseModel) or dataclasses.is_dataclass(choice)
    )


def _settable(task: str) -> Iterator[_Key]:
    """What a sweep of children sets: all but the task itself, and whose children they are."""
    return (key for key in _walk(CHILDREN[task]) if key.name not in ("task", "of"))


_OF_TRAINING = tuple(_walk(RunConfig))
_OWN = {key.name: key for task in CHILDREN for key in _settable(task)}
_KEYS = (
    *_OF_TRAINING,
    *(key for key in _OWN.values() if key.name not in {k.name for k in _OF_TRAINING}),
)
OF_CHILDREN: Mapping[str, tuple[str, ...]] = {
    task: tuple(key.name for key in _settable(task) if key.section is None) for task in CHILDREN
}
"""By task, the keys that a sweep of children may set; the other ones are their parents'."""
OWN_OF_CHILDREN = frozenset(key for own in OF_CHILDREN.values() for key in own)
"""Those of any such task."""
OF_CHILDREN_ALONE = frozenset(_OWN) - {key.name for key in _OF_TRAINING}
"""Keys, of groups too, that no sweep which trains may set."""
LEAVES = tuple(key.name for key in _KEYS if key.section is None)
"""Keys of single values, such as ``optim.lr``."""
SECTIONS = frozenset(key.name for key in _KEYS if key.section)
"""Keys of groups, such as ``model`` and ``model.gate``."""
NULLABLE_SECTIONS = frozenset(key.name for key in _KEYS if key.section and key.nullable)
"""Groups that may be absent: ``model.gate``."""
DEFAULTS: Mapping[str, Any] = {
    key.name: None if key.default is PydanticUndefined else key.default
    for key in _KEYS
    if key.section is None
}
"""What a key is where nobody writes it; None where it must be written."""
FLOATS = frozenset(key.name for key in _KEYS if float in key.choices and int not in key.choices)
"""Keys of numbers that need not be whole: a whole one that is written there becomes one."""


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
    groups = sorted(section for section in SECTIONS if "." not in key)
    return f"{key} is not a configuration key{_hint(key, (*also, *LEAVES, *groups))}"


def foreign(key: str, task: str) -> str | None:
    """Why a configuration key is none of a task's; None if it is one."""
    if task in OF_CHILDREN and key in OF_CHILDREN[task]:
        return None
    if key in OF_CHILDREN_ALONE:
        tasks = " or ".join(one for one, own in OF_CHILDREN.items() if _belongs(key, own))
        return f"{key} is a setting of a sweep with task: {tasks}"
    if task not in OF_CHILDREN:
        return None
    *others, last = OF_CHILDREN[task]
    return (
        f"{key} is as the parent has it; a sweep with task: {task} sets "
        f"{', '.join(others)} and {last} alone"
    )


def _belongs(key: str, own: Collection[str]) -> bool:
    """Whether it is one of these, or a group of some."""
    return any(related(key, one) for one in own)


def unknown_key(key: str, known: Collection[str]) -> str:
    """Why ``key``, which is none of ``known``, is refused, and what to do instead."""
    if unknown_setting(key) is None:
        return f"{key} is a configuration key; write it under set"
    return unlisted_key(key, known)


def unlisted_key(key: str, known: Collection[str]) -> str:
    """That ``key`` is none of ``known``, and which of them was meant."""
    return f"{key} is not a key here{_hint(key, known)}"


def _hint(key: str, known: Collection[str]) -> str:
    if near := _nearest(key, known):
        return f"; nearest: {near}"
    for group in ancestors(key):
        if beside := [name for name in known if name.startswith(f"{group}.")]:
            return f"; known keys: {', '.join(beside)}"
    groups = dict.fromkeys(name.partition(".")[0] + ".*" * ("." in name) for name in known)
    return f"; known keys: {', '.join(key for key in groups if f'{key}.*' not in groups)}"


def _nearest(key: str, known: Collection[str]) -> str | None:
    """The known key whose end is ``key``, else the one most alike, as a whole or by its end."""
    by_end = {name.rpartition(".")[2]: name for name in reversed(tuple(known))}
    if key in by_end:
        return by_end[key]
    if whole := difflib.get_close_matches(key, known, n=1, cutoff=0.75):
        return whole[0]
    ends = difflib.get_close_matches(key.rpartition(".")[2], by_end, n=1, cutoff=0.7)
    return by_end[ends[0]] if ends else None
