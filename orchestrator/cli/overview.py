"""What ``status --watch`` and ``launch --wait`` show on a terminal, fitted to its size."""

import textwrap
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from orchestrator.cli.axes_table import axes_lines
from orchestrator.cli.jobs_table import JobsTable, left_out
from orchestrator.cli.render import STATE_STYLE, bar, in_all, minute, shortened, states
from orchestrator.controller.failures import folded
from orchestrator.controller.outlook import Forecast, Outlook
from orchestrator.controller.progress import (
    TROUBLED,
    AxisProgress,
    Progress,
    most_urgent,
    progress_by_axis,
)
from orchestrator.controller.select import Named
from orchestrator.controller.status import Row
from orchestrator.controller.survey import Survey
from orchestrator.jobs.layout import Root
from orchestrator.jobs.state import State

NOTE_STYLE = "yellow"
TALL = 30
"""Lines of a screen that has room for more than the most important."""
FEW_JOBS = 4
"""So many jobs are shown even where axes have to give way."""
GAP = "  "


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One look at jobs, as a screen shows it."""

    title: str
    question: str
    rows: Sequence[Row]
    axes: Sequence[AxisProgress]
    outlook: Outlook
    notes: Sequence[str]
    at: float = field(default_factory=time.time)


class Onlooker:
    """Makes what a screen shows of one look after the other; what it read serves them all."""

    def __init__(self, root: Root) -> None:
        self._forecast = Forecast(root)

    def seen(
        self, jobs: Sequence[Named], rows: Sequence[Row], found: Survey, notes: Sequence[str]
    ) -> Seen:
        title, question = self._forecast.about(jobs)
        axes = {job.id: job.axes for job in jobs}
        return Seen(
            title=title,
            question=question,
            rows=rows,
            axes=progress_by_axis(rows, axes),
            outlook=self._forecast.of(jobs, rows, found),
            notes=notes,
        )


class Overview:
    """Lays out one look after the other; what it remembers keeps columns from jumping."""

    def __init__(self) -> None:
        self._table = JobsTable()

    def lines(self, seen: Seen, width: int, height: int) -> list[Text]:
        """A screen full: what all of it comes to, each axis, the jobs that matter most, notes."""
        notes = _notes(seen.notes, width)
        head = [*_head(seen, width, tall=height >= TALL)][: max(1, height - len(notes))]
        room = height - len(head) - len(notes)
        jobs = min(len(seen.rows), max(FEW_JOBS, room // 3)) + 3  # gap, heading, what is left out
        axes = axes_lines(seen.axes, width, room - jobs)
        body = [*head, *axes, *self._jobs(seen.rows, width, room - len(axes))]
        return [*body, *[Text()] * (height - len(body) - len(notes)), *notes]

    def _jobs(self, rows: Sequence[Row], width: int, room: int) -> list[Text]:
        if room < 3 or not rows:
            return []
        most = room - 2 if len(rows) <= room - 2 else room - 3
        shown = most_urgent(rows, most)
        lines = [Text(), *self._table.lines(shown, rows, width)]
        if len(shown) == len(rows):
            return lines
        told = {row.id for row in shown}
        rest = [row for row in rows if row.id not in told]
        return [*lines, left_out(rest, len(shown), width)]


def hours_line(outlook: Outlook) -> str:
    """What was spent, what is to come, and when that is done."""
    finish = f", {_finish(outlook)}" if outlook.going else ""
    return _hours(outlook) + finish


def _head(seen: Seen, width: int, *, tall: bool) -> Iterator[Text]:
    clock = time.strftime("%H:%M:%S", time.localtime(seen.at))
    title = shortened(seen.title, width - len(clock) - 2)
    yield Text.assemble(
        (title, "bold"), " " * (width - cell_len(title) - len(clock)), (clock, "dim")
    )
    asked = textwrap.wrap(seen.question, width, max_lines=2 if tall else 1, placeholder=" …")
    yield from (Text(line, style="dim") for line in asked)
    whole = Progress.of(seen.rows)
    told = f"{100 * whole.share:3.0f} %{GAP}{whole.epochs:,} of {whole.asked:,} epochs"
    yield Text.assemble(bar(whole.share, width - len(told) - 2), GAP, told)
    yield from _counts(whole, width)
    yield from _troubles(seen.rows, width, 3 if tall else 1)
    outlook = seen.outlook
    yield from _wrapped(Text(_hours(outlook)), width)
    if not outlook.going:
        return
    yield Text(_finish(outlook) + f", {outlook.at_once:,} at a time")
    yield _cut(Text(_basis(outlook), style="dim"), width)


def _counts(whole: Progress, width: int) -> Iterator[Text]:
    """How many jobs there are, and in which states; broken after commas."""
    line = Text(f"{whole.jobs:,} jobs:")
    for count in states(whole.counts).split(", "):
        if line.cell_len + len(", ,") + count.cell_len > width:
            yield line.append(",")
            line = Text(" ")
        line.append("" if line.plain.endswith((":", " ")) else ",").append(" ").append_text(count)
    yield line


def _troubles(rows: Sequence[Row], width: int, most: int) -> Iterator[Text]:
    """What went wrong, the most frequent first; reasons that differ only in numbers are one."""
    alike: dict[tuple[State, str], list[Row]] = {}
    for row in rows:
        if row.state in TROUBLED and row.reason:
            alike.setdefault((row.state, folded(row.reason)), []).append(row)
    for (state, _), some in sorted(alike.items(), key=lambda one: -len(one[1]))[:most]:
        count = Text(f"{len(some):,} {state}", STATE_STYLE[state])
        yield _cut(Text.assemble(count, ": ", some[0].reason.replace("\n", " ")), width)


def _cut(line: Text, width: int) -> Text:
    line.truncate(width, overflow="ellipsis")
    return line


def _hours(outlook: Outlook) -> str:
    """Spent and to come; the unit once, if it is the same."""
    spent, to_come = in_all(outlook.spent), in_all(outlook.to_come)
    told = ["nothing spent yet"]
    if outlook.spent.gpu_hours or outlook.spent.cpu_hours:
        told = [f"{spent} spent"]
        to_come = to_come.removesuffix(" " + spent.partition(" ")[2])
    unknown = outlook.to_come.unknown
    if not outlook.going:
        return ", ".join([*told, "nothing to come"])
    if unknown == outlook.going:
        return ", ".join([*told, "what is to come is not known yet"])
    rest = [f"{unknown:,} jobs not known"] if unknown else []
    return ", ".join([*told, f"about {to_come} to come", *rest])


def _finish(outlook: Outlook) -> str:
    if outlook.finish is None:
        return "end not known yet"
    least = "not done before" if outlook.to_come.unknown else "done by about"
    return f"{least} {minute(outlook.finish)}"


def _basis(outlook: Outlook) -> str:
    if not outlook.bases:
        return "no job like these has been trained here yet"
    first, *others = outlook.bases
    more = f", and {len(others)} more" if others else ""
    return f"known from {first}{more}"


def _notes(notes: Sequence[str], width: int) -> list[Text]:
    """The last line of the screen, which is kept for them; empty if all is well."""
    told = "; ".join(" ".join(note.split()) for note in notes)
    line = Text(f"note: {told}" if told else "", style=NOTE_STYLE)
    return [_cut(line, width)]


def _wrapped(text: Text, width: int) -> list[Text]:
    """Its lines, broken between words."""
    return list(text.wrap(Console(width=width), width))
