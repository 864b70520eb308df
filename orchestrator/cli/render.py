"""What is printed: on a terminal, as plain text in a log, or as JSON for programs."""

import json
import math
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.text import Text

if TYPE_CHECKING:
    from orchestrator.controller.hours import Total
    from orchestrator.jobs.spent import Spent
    from orchestrator.jobs.state import State

STATE_STYLE: Mapping[str, str] = {
    "DONE": "green",
    "RUNNING": "cyan",
    "QUEUED": "blue",
    "UNKNOWN": "magenta",
    "STOPPED": "dim cyan",
    "CANCELLED": "dim",
    "PREEMPTED": "yellow",
    "FAILED": "bold red",
    "PLANNED": "dim",
}
"""What a state looks like in every table; its word always stands beside."""
LOG_WIDTH = 160
LETTERS = 3
"""So many at least are left of what is cut in a name."""
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


def in_all(total: "Total | Spent") -> str:
    """Device-hours in words; those of nothing but cores only where there are no others."""
    cores = f"{hours(total.cpu_hours)} CPU-hours"
    if not total.gpu_hours:
        return cores
    return f"{hours(total.gpu_hours)} GPU-hours" + (f" and {cores}" if total.cpu_hours else "")


def hours(count: float) -> str:
    """Hours as a person adds them up: 0.25, 12.5, 1,250; what is no more than a trace is 0.01."""
    if count == 0:
        return "0"
    count = max(count, 0.01)
    return f"{count:,.{next((d for d, most in ((2, 10), (1, 100)) if count < most), 0)}f}"


def minute(when: float) -> str:
    """A time, UTC epoch seconds, as clocks here show it."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(when))


def states(counts: Mapping["State", int]) -> Text:
    """How many are in which state, in the order of the state table."""
    told = [
        Text(f"{counts[state]:,} {state}", STATE_STYLE[state])
        for state in sorted(counts, key=list(STATE_STYLE).index)
        if counts[state]
    ]
    return Text(", ").join(told) if told else Text("no jobs")


def bar(share: float, width: int, style: str = "green") -> Text:
    """A line of ``width`` cells, heavy as far as ``share`` reaches; full only at 1."""
    full = min(width if share >= 1 else width - 1, round(share * width))
    return Text.assemble(("━" * full, style), ("─" * (width - full), "dim"))


def with_short_labels(name: str, width: int) -> str:
    """A point's name, the longest of its labels cut until it fits: ``reg…=0,lr=0.01``."""
    parts = name.split(",")
    while cell_len(",".join(parts)) > width:
        lengths = [part.find("=") for part in parts]
        if (longest := max(lengths)) <= LETTERS + 1:
            break
        at = lengths.index(longest)
        parts[at] = f"{parts[at][:LETTERS]}…{parts[at][longest:]}"
    return ",".join(parts)


def shortened(name: str, width: int) -> str:
    """At most ``width`` cells: first labels give way, then settings in the middle, then letters."""
    name = with_short_labels(name, width)
    parts = name.split(",")
    for kept in range(len(parts), 1, -1):
        first, last = parts[: kept - kept // 2], parts[len(parts) - kept // 2 :]
        told = ",".join([*first, *["…"] * (kept < len(parts)), *last])
        if cell_len(told) <= width:
            return told
    return name if cell_len(name) <= width else _without_middle(name, max(1, width))


def _without_middle(text: str, length: int) -> str:
    tail = (length - 1) // 2
    return text[: length - 1 - tail] + "…" + text[len(text) - tail :]


def number(value: float | None) -> str:
    """Four digits that count; large whole numbers with separators."""
    if value is None:
        return "-"
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= 1e5:
        return f"{value:,.0f}"
    return f"{value:.4g}"
