"""The table of jobs that ``status`` and ``launch --wait`` show, a line a job, fitted to a width."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.text import Text

from orchestrator.cli.axes_table import ROOMY
from orchestrator.cli.render import STATE_STYLE, bar, duration, number, shortened, with_short_labels
from orchestrator.controller.progress import PHASES, TROUBLED
from orchestrator.controller.status import Row
from orchestrator.jobs.state import State

METRICS = ("val/top1", "train/loss", "norms/max_over_median")
"""Shown as far as the width allows."""
TOLD_IN_FULL = (*TROUBLED, State.DONE)
"""States whose reasons a user acts on: below the table if the column is too narrow for them."""
SILENT_S = 90.0
ID_DIGITS = 8
STATE_WIDTH = 9
LEFT_WIDTH = 7
NAME_WIDTH = 16
REASON_WIDTH = 12
READABLE = 30
"""Cells that a reason gets, if it has so many, before a metric gets any."""
GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its heading, what it says of a job, and how that looks."""

    heading: str
    text: Callable[[Row], str]
    right: bool = False
    style: Callable[[Row], str] = lambda _: ""


def state_of_row(row: Row) -> str:
    """A state in words, and how a job ended that did not finish."""
    return row.state.value if row.outcome in (None, "finished") else f"DONE ({row.outcome})"


def reason_of_row(row: Row) -> str:
    """What a user should know of a job besides its state."""
    if row.stale_s is not None and row.stale_s > SILENT_S:
        return f"no sign of life for {duration(row.stale_s)}"
    older = {"older code": row.older_code, "older weights": row.older_weights}
    return row.reason or ", ".join(words for words, holds in older.items() if holds)


def why_of_row(row: Row) -> str:
    """As ``reason_of_row``, beside a state without how it ended."""
    return reason_of_row(row) if row.outcome in (None, "finished") else str(row.outcome)


JOB = Column("job", lambda row: row.id[:ID_DIGITS])
NAME = Column("name", lambda row: row.name)
STATE = Column("state", lambda row: row.state.value, style=lambda row: STATE_STYLE[row.state])
ENDED = Column("state", state_of_row, style=lambda row: STATE_STYLE[row.state])
EPOCH = Column("epoch", lambda row: f"{row.epoch}/{row.epochs}", right=True)
LEFT = Column("left", lambda row: duration(row.eta_s), right=True)
REASON = Column("reason", reason_of_row)
WHY = Column("reason", why_of_row)
LEAST = {"job": ID_DIGITS, "state": STATE_WIDTH, "left": LEFT_WIDTH, "reason": REASON_WIDTH}


def _metric(name: str) -> Column:
    return Column(name, lambda row: number(row.metrics.get(name)), right=True)


WORDY = (JOB, NAME, ENDED, EPOCH, LEFT, REASON)
BRIEF = (NAME, STATE, EPOCH, LEFT, WHY)
BRIEF_WITH_IDS = (JOB, *BRIEF)


def whole_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Every job with all that is known of it, in lines as long as they get; no colours."""
    columns = [*WORDY[:-1], *_metrics(rows), REASON]
    made = [[column.heading, *map(column.text, rows)] for column in columns]
    widths = [max(map(cell_len, cells)) for cells in made]
    for cells in zip(*made, strict=True):
        told = map(_padded, cells, widths, (column.right for column in columns))
        yield (" " * GAP).join(told).rstrip()


def folded_lines(rows: Sequence[Row], width: int) -> list[Text]:
    """Fitted to a width, names in more lines if need be; below, the reasons that were cut."""
    fitted = _fit(WORDY, rows, width, {})
    room = dict(fitted)
    lines = [_heading(fitted, width)]
    for row in rows:
        first, *rest = chop_cells(row.name, room[NAME]) or [""]
        lines.append(_line(row, fitted, width, first))
        lines += [Text(" " * (room[JOB] + GAP) + part) for part in rest]
    return lines + _in_full(rows, room[REASON])


@dataclass
class JobsTable:
    """Lines of jobs, again and again: no column ever gets narrower, so that nothing jumps."""

    widths: dict[str, int] = field(default_factory=dict)

    def lines(self, rows: Sequence[Row], of: Sequence[Row], width: int) -> list[Text]:
        """A line for each of ``rows``, columns as wide as ``of`` needs them, names shortened.

        Ids stand beside them where there is room, or where names lack what tells them apart.
        """
        fitted = _fit(BRIEF_WITH_IDS if width >= ROOMY else BRIEF, of, width, self.widths)
        name = dict(fitted)[NAME]
        if any(cell_len(with_short_labels(row.name, name)) > name for row in of):
            fitted = _fit(BRIEF_WITH_IDS, of, width, self.widths)
            name = dict(fitted)[NAME]
        told = (_line(row, fitted, width, shortened(row.name, name)) for row in rows)
        return [_heading(fitted, width), *told]


def _metrics(rows: Sequence[Row]) -> list[Column]:
    return [_metric(name) for name in METRICS if any(name in row.metrics for row in rows)]


def _fit(
    columns: Sequence[Column], rows: Sequence[Row], width: int, least: dict[str, int]
) -> list[tuple[Column, int]]:
    """Columns with their widths, and those metrics that fit; the last one takes what is left.

    ``least``: what columns were at least before, which is brought up to date.
    """
    *first, last = columns
    wanted = {column: _wanted(column, rows, least) for column in first}
    reason = _wanted(last, rows, least)
    room = width - sum(wide + GAP for wide in wanted.values()) + wanted[NAME]
    wanted[NAME] = max(min(wanted[NAME], NAME_WIDTH), min(wanted[NAME], room - REASON_WIDTH))
    room -= wanted[NAME]
    for column in _metrics(rows):
        wide = _wanted(column, rows, least)
        if room - wide - GAP < min(reason, READABLE):
            break
        room -= wide + GAP
        wanted[column] = wide
    return [*wanted.items(), (last, min(reason, max(REASON_WIDTH, room)))]


def _wanted(column: Column, rows: Sequence[Row], least: dict[str, int]) -> int:
    cells = max((cell_len(column.text(row)) for row in rows), default=0)
    before = max(LEAST.get(column.heading, 0), least.get(column.heading, 0))
    least[column.heading] = max(cell_len(column.heading), cells, before)
    return least[column.heading]


def _line(row: Row, fitted: Sequence[tuple[Column, int]], width: int, name: str) -> Text:
    line = Text()
    for column, room in fitted:
        if column.heading == REASON.heading:
            line.append_text(_reason(row, column.text(row), min(room, width - line.cell_len)))
            continue
        text = name if column is NAME else column.text(row)
        line.append(_padded(text, room, column.right), style=column.style(row))
        line.append(" " * GAP)
    return line


def left_out(rows: Iterable[Row], shown: int, width: int, how: str = "") -> Text:
    """That there are more jobs, in which phases as far as that fits, and ``how`` to see them."""
    rest = Counter(PHASES[row.state] for row in rows)
    order = dict.fromkeys(PHASES.values())
    phases = [f"{rest[phase]:,} {phase}" for phase in order if phase in rest]
    more = f"{'and ' * bool(shown)}{sum(rest.values()):,} more"
    while phases and cell_len(f"{more}: {', '.join(phases)}{how}") > width:
        phases.pop()
    return Text(f"{more}{': ' * bool(phases)}{', '.join(phases)}{how}", style="dim")


def _heading(columns: Sequence[tuple[Column, int]], width: int) -> Text:
    told = (_padded(column.heading, wide, column.right) for column, wide in columns)
    line = Text((" " * GAP).join(told).rstrip(), style="bold")
    line.truncate(width)
    return line


def _padded(text: str, width: int, right: bool) -> str:
    if cell_len(text) > width:
        return shortened(text, width)
    return " " * (width - cell_len(text)) + text if right else set_cell_size(text, width)


def _reason(row: Row, words: str, width: int) -> Text:
    """The words, or a bar where a running job has none to say; cut at their end."""
    if row.state is State.RUNNING and not words and row.epochs:
        return bar(row.epoch / row.epochs, min(REASON_WIDTH, width), STATE_STYLE[row.state])
    told = Text(words.replace("\n", " "))
    told.truncate(max(0, width), overflow="ellipsis")
    return told


def _in_full(rows: Sequence[Row], width: int) -> list[Text]:
    cut = [
        row for row in rows if row.state in TOLD_IN_FULL and cell_len(reason_of_row(row)) > width
    ]
    return [Text(f"\n{row.name}: {reason_of_row(row)}") for row in cut]
