"""The table of how far each value of each axis is, fitted to a width and a number of lines."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from orchestrator.cli.render import STATE_STYLE, bar, shortened
from orchestrator.controller.progress import PHASES, AxisProgress
from orchestrator.jobs.state import State
from orchestrator.sweep.names import label

ALWAYS = ("done", "running", "waiting", "failed")
"""Phases that have a column also where no job is in them."""
OTHER = "other"
"""The column of all other phases, where a job is in one."""
STYLE = {phase: STATE_STYLE[state] for state, phase in reversed(PHASES.items())}
STYLE[OTHER] = STATE_STYLE[State.UNKNOWN]
ROOMY = 100
"""A table of fewer columns calls axes by the ends of their keys."""
VALUE_WIDTH = 12
SHORTEST_BAR, LONGEST_BAR = 6, 40
GAP = "  "


def axes_lines(told: Sequence[AxisProgress], width: int, room: int) -> list[Text]:
    """A line for each value, in at most ``room`` lines; none where that is too few.

    Columns are as wide as what they may ever say, so that they stay where they are.
    """
    if not told or room < 3:
        return []
    shown = told if len(told) <= room - 2 else told[: room - 3]
    columns = [_axes(told, shown, width), *_phases(told, shown), _epochs(told, shown)]
    rest = width - sum(column.width + len(GAP) for column in columns)
    longest = max(cell_len(one.value) for one in told)
    wide = max(len("value"), min(longest, max(VALUE_WIDTH, rest - len(GAP) - SHORTEST_BAR)))
    columns.insert(1, _Column("value", [Text(shortened(one.value, wide)) for one in shown], wide))
    rest -= wide + len(GAP)
    if rest >= SHORTEST_BAR:
        bars = [bar(one.progress.share, min(rest, LONGEST_BAR)) for one in shown]
        columns.append(_Column("", bars))
    lines = [Text(), *_joined(columns, width)]
    if left := told[len(shown) :]:
        axes = ", ".join(dict.fromkeys(label(one.axis, {o.axis for o in told}) for one in left))
        lines.append(Text(f"and {len(left):,} more values of {axes}", style="dim"))
        lines[-1].truncate(width, overflow="ellipsis")
    return lines


@dataclass
class _Column:
    """Cells under a heading; ``width`` is at least that of the heading."""

    heading: str
    cells: list[Text]
    width: int = 0
    right: bool = False

    def __post_init__(self) -> None:
        self.width = max(self.width, len(self.heading))

    def padded(self, cell: Text) -> Text:
        blank = " " * (self.width - cell.cell_len)
        return Text.assemble(blank, cell) if self.right else Text.assemble(cell, blank)


def _axes(told: Sequence[AxisProgress], shown: Sequence[AxisProgress], width: int) -> _Column:
    """Each axis named once."""
    keys = dict.fromkeys(one.axis for one in told)
    names = {key: key if width >= ROOMY else label(key, keys) for key in keys}
    before = [None, *(one.axis for one in shown)]
    cells = [
        Text("" if one.axis == last else names[one.axis])
        for one, last in zip(shown, before, strict=False)
    ]
    return _Column("axis", cells, max(map(cell_len, names.values())))


def _phases(told: Sequence[AxisProgress], shown: Sequence[AxisProgress]) -> list[_Column]:
    phases = [*ALWAYS, *[OTHER] * any(_count(one, OTHER) for one in told)]
    most = max(one.progress.jobs for one in told)
    widths = {"done": len(f"{most:,}/{most:,}")}
    return [
        _Column(phase, [_cell(one, phase) for one in shown], widths.get(phase, 0), right=True)
        for phase in phases
    ]


def _epochs(told: Sequence[AxisProgress], shown: Sequence[AxisProgress]) -> _Column:
    most = max(one.progress.asked for one in told)
    cells = [Text(f"{one.progress.epochs:,}/{one.progress.asked:,}") for one in shown]
    return _Column("epochs", cells, len(f"{most:,}/{most:,}"), right=True)


def _cell(one: AxisProgress, phase: str) -> Text:
    count = _count(one, phase)
    told = f"{count:,}" if count else "-"
    if phase == "done":
        told = f"{count:,}/{one.progress.jobs:,}"
    return Text(told, style=STYLE[phase] if count else "dim")


def _count(one: AxisProgress, phase: str) -> int:
    phases = one.progress.phases
    known = sum(phases.get(each, 0) for each in ALWAYS)
    return one.progress.jobs - known if phase == OTHER else phases.get(phase, 0)


def _joined(columns: Sequence[_Column], width: int) -> list[Text]:
    heading = Text(GAP).join(column.padded(Text(column.heading)) for column in columns)
    heading.stylize("bold")
    rows = zip(*(map(column.padded, column.cells) for column in columns), strict=True)
    lines = [heading, *(Text(GAP).join(row) for row in rows)]
    for line in lines:
        line.truncate(width)
    return lines
