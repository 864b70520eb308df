"""A YAML document as a section, with the line of every fault."""

from collections.abc import Callable, Iterator
from typing import TypeVar, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from orchestrator.config.section import Section
from orchestrator.sweep.faults import Faults, explain, spelled
from orchestrator.sweep.strict_yaml import Document, KeyPath, Place

S = TypeVar("S", bound=Section)

Words = Callable[[ErrorDetails, KeyPath], str | None]
"""What a kind of file says itself of a fault; None leaves it to ``explain``."""


def read_section(
    document: Document, kind: type[S], faults: Faults, *, what: str, words: Words
) -> S | None:
    """The document as a ``kind``, which messages call ``what``; None if there were faults."""
    if not isinstance(document.plain, dict):
        found = "is empty" if document.plain is None else "is not a mapping of keys"
        faults.add(document.place(()), f"{found}; {what} starts with name: ...")
        return None
    try:
        return kind.from_plain(document.plain)
    except ValidationError as error:
        for detail in error.errors():
            path = _path(detail)
            problem = words(detail, path) or explain(detail, spelled(path))
            faults.add(document.place(path), problem)
        return None


def merged(base: S, above: S, faults: Faults, *, key: str, place: Place) -> S:
    """``base`` with what ``above`` writes over it, key by key; ``place`` is told for faults."""
    written = (part.model_dump(mode="json", exclude_unset=True) for part in (base, above))
    plain = {name: value for part in written for name, value in part.items()}
    try:
        return above.from_plain(plain)
    except ValidationError as error:
        for detail in error.errors():
            faults.add(place, explain(detail, spelled((key, *_path(detail)))))
        return above


def owner_of(kind: type[Section], path: KeyPath) -> type[Section]:
    """The section under ``kind`` that the last key of ``path`` would be a field of."""
    for part in path[:-1]:
        field = kind.model_fields.get(str(part))
        kind = next(_sections(field.annotation), kind) if field else kind
    return kind


def _path(detail: ErrorDetails) -> KeyPath:
    # A fault of a mapping's key is located at "[key]", below the key itself.
    return tuple(part for part in detail["loc"] if part != "[key]")


def _sections(annotation: object) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for part in get_args(annotation):
        yield from _sections(part)
