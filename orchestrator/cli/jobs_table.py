"""The table of jobs that ``status`` and ``launch --wait`` show, fitted to a width."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.cli.render import STATE_STYLE, duration, number
from orchestrator.controller.status import Row
from orchestrator.jobs.state import State

METRICS = ("val/top1", "train/loss", "norms/max_over_median")
"""Shown as far as the width allows."""
TROUBLED = (State.FAILED, State.UNKNOWN)
TOLD_IN_FULL = (*TROUBLED, State.DONE)
"""States whose reasons a user acts on: below the table if the column is too narrow for them."""
SILENT_S = 90.0
NAME_WIDTH = 16
REASON_WIDTH = 12
GAP = 2
AROUND_LIVE = 6
"""Lines of a terminal that a live table leaves to its headings and counts."""


@dataclass
class _Column:
    heading: str
    cells: list[Text]
    width: int = 0
    right: bool = False

    def __post_init__(self) -> None:
        widths = [cell_len(self.heading), *(cell.cell_len for cell in self.cells)]
        self.width = self.width or max(widths)


def jobs_table(rows: Sequence[Row], width: int, notes: Sequence[str] = ()) -> RenderableType:
    """A line per job, what went wrong in full, the counts, and notes on the look itself."""
    return Group(_table(rows, rows, width, bar=None), *_notes(notes))


def live_table(
    rows: Sequence[Row], width: int, height: int, notes: Sequence[str] = ()
) -> RenderableType:
    """As ``jobs_table``, with a bar where a running job has no word to say.

    Where not all jobs fit, those that run and those that failed; the counts are of all.
    """
    shown, most = list(rows), max(1, height - AROUND_LIVE)
    if len(shown) > most:
        shown = [row for row in rows if row.state in (State.RUNNING, *TROUBLED)][:most]
    return Group(_table(shown, rows, width, bar=_bar), *_notes(notes))


def reason_of_row(row: Row) -> str:
    """What a user should know of a job besides its state."""
    if row.stale_s is not None and row.stale_s > SILENT_S:
        return f"no sign of life for {duration(row.stale_s)}"
    return row.reason or ("older code" if row.older_code else "")


def _table(
    shown: Sequence[Row],
    rows: Sequence[Row],
    width: int,
    *,
    bar: Callable[[Row], ProgressBar] | None,
) -> RenderableType:
    columns = _fitted(shown, width)
    made = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for column in columns:
        name = column.heading == "name"
        made.add_column(
            column.heading,
            justify="right" if column.right else "left",
            width=column.width,
            overflow="fold" if name else "ellipsis",
            no_wrap=not name,
        )
    for place, row in enumerate(shown):
        *cells, reason = (column.cells[place] for column in columns)
        made.add_row(
            *cells, bar(row) if bar and row.state is State.RUNNING and not reason else reason
        )
    counts = Counter(row.state for row in rows)
    total = ", ".join(f"{count} {state}" for state, count in counts.items()) or "no jobs"
    return Group(made, *_in_full(shown, columns[-1]), Text(f"\n{total}"))


def _fitted(rows: Sequence[Row], width: int) -> list[_Column]:
    """The columns that fit; the last takes what is left."""
    name = _Column("name", [Text(row.name) for row in rows])
    others = [
        _Column("job", [Text(row.id[:8]) for row in rows]),
        _Column("state", [_state(row) for row in rows]),
        _Column("epoch", [Text(f"{row.epoch}/{row.epochs}") for row in rows], right=True),
        _Column("left", [Text(duration(row.eta_s)) for row in rows], right=True),
    ]
    reason = _Column("reason", [Text(reason_of_row(row)) for row in rows])
    reason.width = max(reason.width, REASON_WIDTH)
    room = width - sum(column.width + GAP for column in others) - GAP
    name.width = min(name.width, max(NAME_WIDTH, room - REASON_WIDTH))
    room -= name.width
    metrics = []
    for metric in METRICS:
        if not any(metric in row.metrics for row in rows):
            continue
        cells = [Text(number(row.metrics.get(metric))) for row in rows]
        column = _Column(metric, cells, right=True)
        if room - REASON_WIDTH < column.width + GAP:
            break
        room -= column.width + GAP
        metrics.append(column)
    reason.width = min(reason.width, max(REASON_WIDTH, room))
    job, *rest = others
    return [job, name, *rest, *metrics, reason]


def _in_full(rows: Sequence[Row], reason: _Column) -> list[Text]:
    cut = [
        row
        for row in rows
        if row.state in TOLD_IN_FULL and cell_len(reason_of_row(row)) > reason.width
    ]
    return [Text(f"\n{row.name}: {reason_of_row(row)}") for row in cut]


def _notes(notes: Sequence[str]) -> list[Text]:
    return [Text(f"note: {note}", style="yellow") for note in notes]


def _state(row: Row) -> Text:
    words = row.state.value if row.outcome in (None, "finished") else f"DONE ({row.outcome})"
    return Text(words, style=STATE_STYLE[row.state])


def _bar(row: Row) -> ProgressBar:
    return ProgressBar(total=row.epochs, completed=row.epoch, width=REASON_WIDTH)
