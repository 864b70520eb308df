"""orchestrate status [STUDY|SWEEP|JOB]"""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.options import jobs_argument, json_option, root_option, where_option

if TYPE_CHECKING:
    from orchestrator.cli.overview import Onlooker
    from orchestrator.controller.outlook import Outlook
    from orchestrator.controller.select import Named
    from orchestrator.controller.status import Row
    from orchestrator.jobs.layout import Root

REFRESH_S = 2.0
IDLE = 4
"""So many times as long as a look took nothing is done until the next."""
MOST_LINES = 100
"""Jobs that a terminal gets to see unless asked for all."""


@click.command()
@jobs_argument
@where_option
@click.option("--watch", is_flag=True, help="Refresh until interrupted.")
@click.option(
    "--all", "whole", is_flag=True, help=f"Every job, also of more than {MOST_LINES} on a terminal."
)
@json_option
@root_option
def status(
    jobs: str | None,
    where: str | None,
    watch: bool,
    whole: bool,
    as_json: bool,
    root_path: Path,
) -> None:
    """Show each job's state, epoch, time left, last metrics and what went wrong.

    Then the hours that were spent, those that are to come, and when all is done; as plan
    tells them. --watch also shows how far each value of each axis is.

    \b
    orchestrate status
    orchestrate status quickstart --watch
    orchestrate status quickstart --json
    orchestrate status --where 'epoch < 10 and gate != null'
    """
    from orchestrator.cli.render import print_json
    from orchestrator.controller import outlook
    from orchestrator.controller import status as controller
    from orchestrator.controller.where import meant
    from orchestrator.jobs.store import open_root

    root = open_root(root_path)
    selected = meant(root, jobs, where)
    if watch and not as_json:
        _watch(root, selected)
        return
    found = controller.look_at(root, selected)
    if as_json:
        sweep = jobs if jobs in root.sweep_names() else None
        print_json(outlook.as_json(root, sweep, selected, found, found.troubles))
    else:
        rows = controller.rows_of(root, selected, found)
        hours = outlook.Forecast(root).of(selected, rows, found)
        _show(rows, hours, found.troubles, len(rows) if whole else MOST_LINES)


def _show(rows: "Sequence[Row]", outlook: "Outlook", notes: "Sequence[str]", most: int) -> None:
    """Print the table, what all of it comes to, and notes on the look itself.

    In a log, each job with all that is known of it; on a terminal at most so many that matter most,
    fitted to its width.
    """
    from rich.text import Text

    from orchestrator.cli.jobs_table import folded_lines, left_out, whole_lines
    from orchestrator.cli.overview import NOTE_STYLE, hours_line
    from orchestrator.cli.render import console, states
    from orchestrator.controller.progress import Progress, most_urgent

    out = console()
    below = [Text(), states(Progress.of(rows).counts), Text(hours_line(outlook))]
    below += [Text(f"note: {note}", style=NOTE_STYLE) for note in notes]
    if not out.is_terminal:
        click.echo("\n".join([*whole_lines(rows), *(line.plain for line in below)]))
        return
    shown = most_urgent(rows, most)
    lines = folded_lines(shown, out.width)
    if len(shown) < len(rows):
        told = {row.id for row in shown}
        rest = [row for row in rows if row.id not in told]
        lines.append(left_out(rest, len(shown), out.width, " (--all shows them)"))
    for line in [*lines, *below]:
        out.print(line)


def _watch(root: "Root", selected: "Sequence[Named]") -> None:
    """Show the jobs until interrupted: in place on a terminal, else when something changed."""
    from functools import partial

    from orchestrator.cli.live_screen import LiveScreen, is_live
    from orchestrator.cli.overview import Onlooker, Overview
    from orchestrator.cli.render import console
    from orchestrator.controller.status import look_at, rows_of
    from orchestrator.controller.watch import patience

    out = console()
    onlooker, overview = Onlooker(root), Overview()
    try:
        if not is_live(out):
            _tell_changes(root, selected, onlooker)
            return
        with LiveScreen(out) as screen:
            while True:
                began = time.monotonic()
                found = look_at(root, selected)
                rows = rows_of(root, selected, found)
                seen = onlooker.seen(selected, rows, found, found.troubles)
                screen.show(partial(overview.lines, seen))
                took = time.monotonic() - began
                time.sleep(max(REFRESH_S, patience(root, found), IDLE * took))
    except KeyboardInterrupt:
        return


def _tell_changes(root: "Root", selected: "Sequence[Named]", onlooker: "Onlooker") -> None:
    """Print all of it whenever what a job is or measured changed."""
    from orchestrator.controller.status import look_at, rows_of
    from orchestrator.controller.watch import patience

    told = None
    while True:
        found = look_at(root, selected)
        rows = rows_of(root, selected, found)
        news = [replace(row, eta_s=None, stale_s=None) for row in rows]
        if news != told:
            seen = onlooker.seen(selected, rows, found, found.troubles)
            _show(rows, seen.outlook, found.troubles, MOST_LINES)
        told = news
        time.sleep(max(REFRESH_S, patience(root, found)))
