"""orchestrate status [SWEEP]"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.options import json_option, root_option

if TYPE_CHECKING:
    from orchestrator.controller.select import Named
    from orchestrator.jobs.layout import Root

REFRESH_S = 2.0


@click.command()
@click.argument("jobs", metavar="[SWEEP|JOB]", required=False)
@click.option("--watch", is_flag=True, help="Refresh until interrupted.")
@json_option
@root_option
def status(
    jobs: str | None,
    watch: bool,
    as_json: bool,
    root_path: Path,
) -> None:
    """Show each job's state, epoch, time left, last metrics and what went wrong.

    \b
    orchestrate status
    orchestrate status quickstart --watch
    orchestrate status quickstart --json
    """
    from orchestrator.cli.jobs_table import jobs_table
    from orchestrator.cli.render import console, print_json, show
    from orchestrator.controller import status as controller
    from orchestrator.controller.select import select
    from orchestrator.jobs.store import open_root, sweep_names

    root = open_root(root_path)
    selected = select(root, jobs)
    if as_json:
        sweep = jobs if jobs in sweep_names(root) else None
        found = controller.look_at(root, selected)
        rows = controller.rows_of(root, selected, found)
        print_json(controller.as_json(sweep, rows, found.troubles))
    elif not watch:
        found = controller.look_at(root, selected)
        rows = controller.rows_of(root, selected, found)
        show(jobs_table(rows, console().width, found.troubles))
    else:
        _watch(root, selected)


def _watch(root: "Root", selected: "Sequence[Named]") -> None:
    """Show the jobs until interrupted: in place on a terminal, else when something changed."""
    from rich.live import Live

    from orchestrator.cli.jobs_table import jobs_table, live_table
    from orchestrator.cli.render import console, show
    from orchestrator.controller.status import look_at, rows_of
    from orchestrator.controller.watch import patience

    try:
        if not console().is_terminal:
            told = None
            while True:
                found = look_at(root, selected)
                rows = rows_of(root, selected, found)
                if rows != told:
                    show(jobs_table(rows, console().width, found.troubles))
                told = rows
                time.sleep(max(REFRESH_S, patience(root, found)))
        with Live(console=console(), auto_refresh=False) as live:
            while True:
                size, found = live.console.size, look_at(root, selected)
                rows = rows_of(root, selected, found)
                live.update(live_table(rows, size.width, size.height, found.troubles), refresh=True)
                time.sleep(max(REFRESH_S, patience(root, found)))
    except KeyboardInterrupt:
        return
