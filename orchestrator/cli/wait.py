"""Watching a sweep until it has ended: a calm live table, or plain lines in a log."""

import sys
import time

import click
from rich.live import Live

from orchestrator.cli.jobs_table import live_table, reason_of_row
from orchestrator.cli.render import console
from orchestrator.controller.select import Named, select
from orchestrator.controller.status import Row, rows_of
from orchestrator.controller.watch import is_settled, tend
from orchestrator.jobs.layout import Root
from orchestrator.jobs.state import State

TICK_S = 1.0
LINES_S = 10.0


def wait_for(root: Root, sweep: str) -> int:
    """Tend the sweep until nothing more happens by itself; the number of jobs not DONE."""
    jobs = select(root, sweep)
    show = _live if sys.stdout.isatty() else _lines
    rows = show(root, sweep, jobs)
    missing = [row for row in rows if row.state is not State.DONE]
    for row in missing:
        click.echo(f"{row.name} is {row.state}: {row.reason}")
    if missing:
        click.echo(f"{len(missing)} of {len(rows)} jobs are not done. See: orchestrate logs JOB")
    return len(missing)


def _live(root: Root, sweep: str, jobs: list[Named]) -> list[Row]:
    with Live(console=console(), refresh_per_second=4, transient=False) as live:
        while True:
            found = tend(root, sweep)
            rows = rows_of(root, jobs, found)
            live.update(live_table(rows, live.console.width, live.console.height))
            if is_settled(found):
                return rows
            time.sleep(TICK_S)


def _lines(root: Root, sweep: str, jobs: list[Named]) -> list[Row]:
    told: dict[str, str] = {}
    next_line = 0.0
    while True:
        found = tend(root, sweep)
        rows = rows_of(root, jobs, found)
        settled = is_settled(found)
        for row in rows:
            line = _line(row)
            changed = told.get(row.id, "").split(" ")[0] != row.state
            if line != told.get(row.id) and (changed or settled or time.monotonic() >= next_line):
                told[row.id] = line
                click.echo(f"{time.strftime('%H:%M:%S')} {row.name}: {line}")
        if settled:
            return rows
        if time.monotonic() >= next_line:
            next_line = time.monotonic() + LINES_S
        time.sleep(TICK_S)


def _line(row: Row) -> str:
    if row.state is State.RUNNING:
        top1 = row.metrics.get("val/top1")
        seen = "" if top1 is None else f", val/top1 {top1:.1f}"
        return f"RUNNING epoch {row.epoch}/{row.epochs}{seen}"
    if row.outcome not in (None, "finished"):
        return f"{row.state} ({row.outcome})"
    return f"{row.state} {reason_of_row(row)}".rstrip()
