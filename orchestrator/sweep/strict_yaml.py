"""The strict YAML edge: text into plain values that remember where they were written.

Read as YAML 1.2 reads it: ``1e-3`` is a number, only true and false are truth values, so
``yes``, ``on``, dates and ``0x10`` are text. Refused: tags, merge keys, keys that are no text or
stand twice, and whatever is too large, too deep or too often aliased to have been meant.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from orchestrator.errors import SpecError

LARGEST_FILE_BYTES = 128 * 1024
MOST_VALUES = 50_000
DEEPEST = 30

Scalar = bool | int | float | str | None
Plain = Scalar | list["Plain"] | dict[str, "Plain"]
KeyPath = tuple[str | int, ...]

_WORDS: Mapping[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?=[0-9.]*[.eE])(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"([-+]?)\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was written: a file with a line, or an option of the command line."""

    source: str
    line: int | None = None

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


@dataclass(frozen=True, slots=True)
class Document:
    """One text, read: its values, and the line of each of them."""

    name: str
    text: str
    plain: Plain
    lines: Mapping[KeyPath, int] = field(default_factory=dict)

    def place(self, path: KeyPath) -> Place:
        """Where the value at ``path`` was written, or what it would have stood in."""
        known = next((path[:n] for n in range(len(path), 0, -1) if path[:n] in self.lines), ())
        return Place(self.name, self.lines.get(known))

    def keys(self, path: KeyPath) -> tuple[str, ...]:
        """The keys of the mapping at ``path`` in the order of the file; none if there is none."""
        value: Any = self.plain
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return ()
        return tuple(value) if isinstance(value, dict) else ()


def read_document(path: Path) -> Document:
    """Read a file.

    Raises:
        SpecError: it cannot be read or is not strict YAML; with file and line.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SpecError(f"{path}: cannot be read: {reason}") from error
    if len(content) > LARGEST_FILE_BYTES:
        raise SpecError(f"{path}: is larger than {LARGEST_FILE_BYTES // 1024} KiB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = 1 + content.count(b"\n", 0, error.start)
        raise SpecError(f"{path}:{line}: is not UTF-8 text") from error
    return parse_document(text, str(path))


def parse_document(text: str, name: str) -> Document:
    """Read a text that is called ``name`` in every message."""
    root = _compose(text, name)
    reading = _Reading(name)
    plain = None if root is None else reading.value(root, ())
    return Document(name=name, text=text, plain=plain, lines=reading.lines)


class _Composer(yaml.SafeLoader):
    """Nodes without a guess at their types: a node's tag is empty unless the text has one."""

    depth = 0

    def resolve(self, kind: type[Node], value: str | None, implicit: object) -> str:
        del kind, value, implicit
        return ""

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise yaml.MarkedYAMLError(None, None, _TOO_DEEP, self.get_mark())
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


_TOO_DEEP = f"is nested more than {DEEPEST} levels deep"


def _compose(text: str, name: str) -> Node | None:
    try:
        loader = _Composer(text)
        return loader.get_single_node()
    except yaml.reader.ReaderError as error:
        line = 1 + text.count("\n", 0, int(error.position))
        code = f"U+{int(error.character):04X}"
        raise SpecError(f"{name}:{line}: the character {code} is not allowed") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context
        raise SpecError(f"{name}:{mark.line + 1 if mark else 1}: {problem}") from error


class _Reading:
    """The walk over one document's nodes, aliases followed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[KeyPath, int] = {}
        self.count = 0

    def value(self, node: Node, path: KeyPath) -> Plain:
        self._admit(node, path)
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.value(child, (*path, n)) for n, child in enumerate(node.value)]
        return self._scalar(node) if isinstance(node, ScalarNode) else None

    def _admit(self, node: Node, path: KeyPath) -> None:
        self.lines.setdefault(path, _line(node))
        self.count += 1
        if node.tag:
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            raise self._refusal(node, f"the tag {tag} is not allowed; write plain YAML")
        if self.count > MOST_VALUES:
            raise self._refusal(node, f"holds more than {MOST_VALUES} values, aliases followed")
        if len(path) >= DEEPEST:
            raise self._refusal(node, f"{_TOO_DEEP}, aliases followed")

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Plain]:
        plain: dict[str, Plain] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key in plain:
                first = self.lines[*path, key]
                raise self._refusal(key_node, f"the key {key} stands twice, first on line {first}")
            self.lines[*path, key] = _line(key_node)
            plain[key] = self.value(value_node, (*path, key))
        return plain

    def _key(self, node: Node) -> str:
        if not isinstance(node, ScalarNode) or node.tag:
            raise self._refusal(node, "a key must be plain text")
        key = self._scalar(node)
        if not isinstance(key, str):
            raise self._refusal(node, f"the key {node.value} is not text; put it in quotes")
        if not key.isprintable():
            raise self._refusal(node, f"the key {key!r} holds a character that cannot be shown")
        if key == "<<" and not node.style:
            raise self._refusal(node, "merge keys (<<) are not read; use extends, or write it out")
        return key

    def _scalar(self, node: ScalarNode) -> Scalar:
        text = str(node.value)
        if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            raise self._refusal(node, "holds half of a surrogate pair, which is no character")
        value = text if node.style else _resolved(text)
        if type(value) is int and not -(2**63) <= value < 2**63:
            raise self._refusal(node, "is a whole number of more than 64 bits")
        return value

    def _refusal(self, node: Node, problem: str) -> SpecError:
        return SpecError(f"{self.name}:{_line(node)}: {problem}")


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _resolved(text: str) -> Scalar:
    """What an unquoted word means."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        # Python converts no more than 4300 digits; 20 are too many already.
        return int(text[:21])
    if _FLOAT.fullmatch(text):
        return float(text) + 0.0  # -0.0 becomes 0.0: equal settings, one spelling
    if found := _NOT_FINITE.fullmatch(text):
        return float(f"{found[1]}inf") if found[2] else float("nan")
    return text
