"""A sweep file with the files it extends, read and checked one by one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import SpecError
from orchestrator.sweep.faults import Faults
from orchestrator.sweep.settings import Layer, layer_of, overlaid, refuse_seed
from orchestrator.sweep.spec import SweepSpec, read_spec
from orchestrator.sweep.strict_yaml import Document, Place, read_document


@dataclass(frozen=True, slots=True)
class Chain:
    """The files of one sweep: itself, what it extends, what that extends."""

    files: tuple[tuple[SweepSpec, Document], ...]

    def owner(self, key: str) -> tuple[SweepSpec, Document]:
        """The first file that writes ``key``; where none does, the sweep itself."""
        written = (file for file in self.files if key in file[0].model_fields_set)
        return next(written, self.files[0])

    def place(self, key: str) -> Place:
        """Where the value of ``key`` was written."""
        return self.owner(key)[1].place((key,))


def read_documents(path: Path) -> tuple[Document, ...]:
    """The file at ``path``, then every file it extends, the nearest first.

    Raises:
        SpecError: a file cannot be read or is not strict YAML, or the files form a circle.
    """
    documents = [read_document(path)]
    visited = [path.resolve()]
    while (name := _extended(documents[-1])) is not None:
        place = documents[-1].place(("extends",))
        parent = Path(documents[-1].name).parent / name
        try:
            document = read_document(parent)
        except SpecError as error:
            raise SpecError(f"{error} (extended at {place})") from error
        if parent.resolve() in visited:
            circle = documents[visited.index(parent.resolve()) :]
            names = " -> ".join([*(member.name for member in circle), circle[0].name])
            raise SpecError(f"{place}: extends goes round in a circle: {names}")
        documents.append(document)
        visited.append(parent.resolve())
    return tuple(documents)


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


def _extended(document: Document) -> str | None:
    name = document.plain.get("extends") if isinstance(document.plain, dict) else None
    return name if isinstance(name, str) and name else None
