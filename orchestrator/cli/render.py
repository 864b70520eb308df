"""Tables and numbers for a terminal, or plain text for a log."""

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
from rich.console import Console, RenderableType
from rich.table import Table

STATE_STYLE = {
    "DONE": "green",
    "RUNNING": "cyan",
    "QUEUED": "blue",
    "UNKNOWN": "magenta",
    "CANCELLED": "dim",
    "PREEMPTED": "yellow",
    "FAILED": "bold red",
    "PLANNED": "dim",
}
LOG_WIDTH = 160
UNITS = ("B", "kB", "MB", "GB", "TB")


def console() -> Console:
    """Where tables go: as wide as the terminal, or wide enough for a log."""
    return Console(width=None if sys.stdout.isatty() else LOG_WIDTH, highlight=False)


def show(renderable: RenderableType) -> None:
    """Print it; a long line is wrapped on a terminal, and left whole in a log."""
    out = console()
    if out.is_terminal:
        out.print(renderable)
        return
    with out.capture() as captured:
        out.print(renderable, soft_wrap=True)
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()
) -> Table:
    """A table; the columns named in ``right`` hold numbers."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(
            column,
            justify="right" if column in right else "left",
            overflow="fold",
        )
    for row in rows:
        made.add_row(*row)
    return made


def print_json(document: Mapping[str, Any]) -> None:
    """One JSON document, a line per key and per item of a list.

    Numbers that JSON lacks become strings.
    """
    lines = []
    for key, value in document.items():
        if isinstance(value, list) and value:
            items = ",\n  ".join(_as_json(item) for item in value)
            lines.append(f"{json.dumps(key)}: [\n  {items}\n ]")
        else:
            lines.append(f"{json.dumps(key)}: {_as_json(value)}")
    click.echo("{\n " + ",\n ".join(lines) + "\n}")


def _as_json(value: Any) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(finite(value))


def finite(value: Any) -> Any:
    """``value`` with non-finite floats as the strings nan, inf, -inf."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def duration(seconds: float | None) -> str:
    """A time a person reads: 42 s, 7 min, 3.5 h, 2.1 d."""
    if seconds is None:
        return ""
    for limit, unit, size in ((120, "s", 1), (7200, "min", 60), (172800, "h", 3600)):
        if seconds < limit:
            return f"{seconds / size:.{1 if size == 3600 else 0}f} {unit}"
    return f"{seconds / 86400:.1f} d"


def size(count: float) -> str:
    """Bytes as a person reads them: 12 B, 3.4 MB, 1.2 TB."""
    power = next((power for power in range(4) if count < 1000 ** (power + 1)), 4)
    told = count / 1000**power
    return f"{told:,.0f} {UNITS[power]}" if told >= 100 else f"{told:.3g} {UNITS[power]}"


def number(value: float | None) -> str:
    """Four digits that count; large whole numbers with separators."""
    if value is None:
        return "-"
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= 1e5:
        return f"{value:,.0f}"
    return f"{value:.4g}"
