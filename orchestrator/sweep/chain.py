"""A sweep file with the files it extends, read and checked one by one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import SpecError
from orchestrator.sweep.faults import Faults
from orchestrator.sweep.settings import Layer, layer_of, overlaid, refuse_seed
from orchestrator.sweep.spec import SweepSpec, read_spec
from orchestrator.sweep.strict_yaml import Document, KeyPath, Place, read_document


@dataclass(frozen=True, slots=True)
class Chain:
    """The files of one sweep: itself, then what it extends, each before those it wins over."""

    files: tuple[tuple[SweepSpec, Document], ...]

    def owner(self, key: str) -> tuple[SweepSpec, Document]:
        """The first file that writes ``key``; where none does, the sweep itself."""
        written = (file for file in self.files if key in file[0].model_fields_set)
        return next(written, self.files[0])

    def place(self, key: str) -> Place:
        """Where the value of ``key`` was written."""
        return self.owner(key)[1].place((key,))


def read_documents(path: Path) -> tuple[Document, ...]:
    """The file at ``path``, then every file it extends: each before those over which it wins.

    Raises:
        SpecError: a file cannot be read or is not strict YAML, or the files form a circle.
    """
    found: dict[Path, Document] = {}
    for document in _walk(read_document(path), ()):
        place = Path(document.name).resolve()
        found.pop(place, None)  # reached twice, it stands below all that extend it
        found[place] = document
    return tuple(found.values())


def _walk(document: Document, children: tuple[Document, ...]) -> Iterator[Document]:
    """A file, then what it extends, the last of a list first."""
    yield document
    line = (*children, document)
    files = [Path(member.name).resolve() for member in line]
    for key, name in reversed(_extended(document)):
        place = document.place(key)
        parent = Path(document.name).parent / name
        if parent.resolve() in files:
            circle = line[files.index(parent.resolve()) :]
            names = " -> ".join([*(member.name for member in circle), circle[0].name])
            raise SpecError(f"{place}: extends goes round in a circle: {names}")
        try:
            found = read_document(parent)
        except SpecError as error:
            raise SpecError(f"{error} (extended at {place})") from error
        yield from _walk(found, line)


def read_chain(documents: Sequence[Document], faults: Faults) -> Chain:
    """The checked files.

    Raises:
        SpecError: with all faults so far, if one of the files has faults of its own.
    """
    files = [(read_spec(document, faults), document) for document in documents]
    checked = tuple((spec, document) for spec, document in files if spec is not None)
    if len(checked) < len(files):
        faults.refuse()
    return Chain(checked)


def read_base(documents: Sequence[Document], faults: Faults) -> Layer:
    """Every file's ``set``, a child's over its parent's."""
    base: Layer = {}
    for document in reversed(documents):
        written = document.plain.get("set") if isinstance(document.plain, dict) else None
        if isinstance(written, dict):
            layer = layer_of(written, document, ("set",), faults)
            refuse_seed(layer, faults)
            base = overlaid(base, layer)
    return base


def _extended(document: Document) -> list[tuple[KeyPath, str]]:
    """The names of the files that a document extends, and where each stands in it."""
    written = document.plain.get("extends") if isinstance(document.plain, dict) else None
    if isinstance(written, list):
        names: list[tuple[KeyPath, object]] = [(("extends", i), n) for i, n in enumerate(written)]
    else:
        names = [(("extends",), written)]
    return [(key, name) for key, name in names if isinstance(name, str) and name]
