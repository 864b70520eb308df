"""Tables that fit their terminal: numbers stay whole, and names break where their words do."""

import re
from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.cli.render import console

GAP = 2
NARROWEST = 8
"""A column of words gets at least so much."""
PIECE = re.compile(r"[^\s,/_=-]*[\s,/_=-]+|[^\s,/_=-]+")


def table(
    columns: Sequence[str], rows: Iterable[Sequence[RenderableType]], right: Sequence[str] = ()
) -> Table:
    """A table as wide as the console at most; the columns named in ``right`` hold numbers."""
    listed = [list(row) for row in rows]
    widths = fitted(columns, listed, right, console().width)
    made = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for column, width in zip(columns, widths, strict=True):
        made.add_column(
            broken(column, width),
            justify="right" if column in right else "left",
            width=width,
            overflow="fold",
        )
    for row in listed:
        pairs = zip(row, widths, strict=True)
        made.add_row(*(broken(c, w) if isinstance(c, str) else c for c, w in pairs))
    return made


def fitted(
    columns: Sequence[str],
    rows: Sequence[Sequence[RenderableType]],
    right: Sequence[str],
    width: int,
) -> list[int]:
    """The width of each column, all together at most ``width`` unless numbers alone need more.

    Where room lacks, headings of numbers are broken first; then the widest columns of words give
    way, until they are alike.
    """
    cells = [max((_width(row[place]) for row in rows), default=0) for place in range(len(columns))]
    natural = [max(cell_len(c), w) for c, w in zip(columns, cells, strict=True)]
    room = width - GAP * (len(columns) - 1)
    if sum(natural) <= room:
        return natural
    least = [max(cell_len(piece.rstrip()) for piece in PIECE.findall(c) or [""]) for c in columns]
    numbers = {place for place, column in enumerate(columns) if column in right}
    widths = [max(least[p], cells[p]) if p in numbers else natural[p] for p in range(len(columns))]
    words = [place for place in range(len(columns)) if place not in numbers]
    while sum(widths) > room and words:
        widest = max(words, key=lambda place: widths[place])
        if widths[widest] <= NARROWEST:
            break
        widths[widest] -= 1
    return widths


def broken(text: str, width: int) -> str:
    """The text in lines of ``width`` at most, broken behind a blank or one of ``,/_=-``."""
    return "\n".join(line for part in text.split("\n") for line in _lines(part, width))


def once(rows: Iterable[Sequence[str]]) -> Iterator[list[str]]:
    """Rows whose first cell stands only where it differs from the one above."""
    last = None
    for first, *rest in rows:
        yield ["" if first == last else first, *rest]
        last = first


def own_parts(names: Sequence[str]) -> list[str]:
    """Names without the settings at their beginning that all of several share."""
    parts = [name.split(",") for name in names]
    if len(names) < 2:
        return [*names]
    shared = next((n for n, alike in enumerate(zip(*parts, strict=False)) if len({*alike}) > 1), 0)
    return [",".join(each[shared:]) for each in parts]


def _lines(text: str, width: int) -> Iterator[str]:
    line = ""
    for piece in PIECE.findall(text):
        if line and cell_len((line + piece).rstrip()) > width:
            yield line.rstrip()
            line = ""
        line += piece
        while cell_len(line.rstrip()) > width:  # a word that is longer than the column
            head = set_cell_size(line, width)
            yield head
            line = line[len(head) :]
    yield line.rstrip()


def _width(cell: RenderableType) -> int:
    """Of the longest line of a cell."""
    plain = cell.plain if isinstance(cell, Text) else str(cell)
    return max(map(cell_len, plain.split("\n")))
