"""orchestrate status [SWEEP]"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.options import json_option, root_option

if TYPE_CHECKING:
    from orchestrator.controller.status import Row

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
        print_json(controller.as_json(sweep, controller.rows_of(root, selected)))
    elif not watch:
        show(jobs_table(controller.rows_of(root, selected), console().width))
    else:
        _watch(lambda: controller.rows_of(root, selected))


def _watch(look: "Callable[[], list[Row]]") -> None:
    """Show what ``look`` sees until interrupted: in place on a terminal, else when it changed."""
    from rich.live import Live

    from orchestrator.cli.jobs_table import jobs_table, live_table
    from orchestrator.cli.render import console, show

    try:
        if not console().is_terminal:
            told = None
            while True:
                rows = look()
                if rows != told:
                    show(jobs_table(rows, console().width))
                told = rows
                time.sleep(REFRESH_S)
        with Live(console=console(), auto_refresh=False) as live:
            while True:
                size = live.console.size
                live.update(live_table(look(), size.width, size.height), refresh=True)
                time.sleep(REFRESH_S)
    except KeyboardInterrupt:
        return
