"""orchestrate status [SWEEP]"""

import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.options import json_option, root_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from orchestrator.controller.status import Row

REFRESH_S = 2.0
SHOWN_METRICS = ("val/top1", "train/loss", "norms/max_over_median")


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
    from orchestrator.cli.render import console, print_json
    from orchestrator.controller import status as controller
    from orchestrator.controller.select import select
    from orchestrator.jobs.store import open_root, sweep_names

    root = open_root(root_path)
    selected = select(root, jobs)
    if as_json:
        sweep = jobs if jobs in sweep_names(root) else None
        print_json(controller.as_json(sweep, controller.rows_of(root, selected)))
    elif not watch:
        console().print(status_table(controller.rows_of(root, selected)))
    else:
        from rich.live import Live

        try:
            with Live(console=console(), auto_refresh=False) as live:
                while True:
                    table = status_table(controller.rows_of(root, selected))
                    live.update(table, refresh=True)
                    time.sleep(REFRESH_S)
        except KeyboardInterrupt:
            return


def status_table(rows: "Sequence[Row]") -> "RenderableType":
    """The table of ``status``: a line per job, and the counts."""
    from rich.console import Group
    from rich.text import Text

    from orchestrator.cli.render import STATE_STYLE, duration, number, table

    shown = [m for m in SHOWN_METRICS if any(m in row.metrics for row in rows)]
    columns = ["job", "name", "state", "epoch", "left", *shown, "reason"]
    made = table(columns, (), right=["epoch", "left", *shown])
    for row in rows:
        state = row.state.value if row.outcome in (None, "finished") else f"DONE ({row.outcome})"
        reason = "older code" if row.older_code else row.reason
        if row.stale_s is not None and row.stale_s > 90:
            reason = f"no sign of life for {duration(row.stale_s)}"
        made.add_row(
            row.id[:8],
            row.name,
            Text(state, style=STATE_STYLE[row.state]),
            f"{row.epoch}/{row.epochs}",
            duration(row.eta_s),
            *(number(row.metrics.get(metric)) for metric in shown),
            reason,
        )
    counts = Counter(row.state for row in rows)
    total = ", ".join(f"{count} {state}" for state, count in counts.items()) or "no jobs"
    return Group(made, Text(f"\n{total}"))
