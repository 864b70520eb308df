"""Watching sweeps until they have ended: a calm live table, or plain lines in a log."""

import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import click
from rich.live import Live

from orchestrator.cli.jobs_table import live_table, reason_of_row
from orchestrator.cli.render import console
from orchestrator.controller.failures import folded
from orchestrator.controller.mirroring import Mirroring
from orchestrator.controller.status import Row, rows_of
from orchestrator.controller.watch import Round, tend_all
from orchestrator.executors.slurm_tender import NOT_OVER
from orchestrator.jobs.layout import Root
from orchestrator.jobs.state import State

FAILED_JOBS = 3
LINES_S = 10.0


def wait_for(root: Root, sweeps: Sequence[str], every: float | None = None) -> int:
    """Tend the sweeps until nothing more happens by itself; the number of jobs not DONE.

    ``every``: seconds between two rounds, in place of what the places bear.
    """
    show = _Live() if sys.stdout.isatty() else _Lines()
    with show:
        with Mirroring(root, sweeps) as mirror:
            while True:
                look = tend_all(root, sweeps)
                mirror.show(look.found)
                rows = rows_of(root, look.jobs, look.found)
                show.tell(rows, replace(look, notes=(*look.notes, *mirror.trouble)))
                if look.settled:
                    break
                time.sleep(every or look.patience)
        show.tell(rows, replace(look, notes=mirror.trouble))
    missing = [row for row in rows if row.state is not State.DONE]
    for line in _told(missing):
        click.echo(line)
    if missing:
        click.echo(f"{len(missing)} of {len(rows)} jobs are not done. See: orchestrate why JOB")
    return len(missing)


def _told(missing: Sequence[Row]) -> list[str]:
    """A line for each job that is not done; one for all whose reasons differ only in numbers."""
    alike: dict[tuple[State, str], list[Row]] = {}
    for row in missing:
        alike.setdefault((row.state, folded(row.reason)), []).append(row)
    told = []
    for (state, words), rows in alike.items():
        reasons = {row.reason for row in rows}
        who = f"{rows[0].name} is" if len(rows) == 1 else f"{len(rows)} jobs are"
        told.append(f"{who} {state}: {words if len(reasons) > 1 else reasons.pop()}")
    return told


def watch_once(root: Root, sweeps: Sequence[str]) -> int:
    """One round; returns the exit code: 0 all done, 3 over with jobs not done, 4 more to come."""
    with Mirroring(root, sweeps) as mirror:
        look = tend_all(root, sweeps)
        mirror.show(look.found)
    rows = rows_of(root, look.jobs, look.found)
    counts = Counter(row.state.value for row in rows)
    told = ", ".join(f"{count} {state}" for state, count in counts.items()) or "no jobs"
    click.echo(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {', '.join(sweeps)}: {told}")
    for note in (*look.notes, *mirror.trouble):
        click.echo(f"note: {note}")
    if not look.settled:
        return NOT_OVER
    return 0 if counts.keys() <= {State.DONE.value} else FAILED_JOBS


@dataclass
class _Live:
    """A table that is drawn again in its place."""

    def __post_init__(self) -> None:
        self._live = Live(console=console(), refresh_per_second=4, transient=False)

    def __enter__(self) -> None:
        self._live.start()

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def tell(self, rows: Sequence[Row], look: Round) -> None:
        out = self._live.console
        self._live.update(live_table(rows, out.width, out.height, look.notes), refresh=True)


class _Lines:
    """A line for every job whose state changed, and now and then for one that goes on."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}
        self._next = 0.0

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass

    def tell(self, rows: Sequence[Row], look: Round) -> None:
        now = time.monotonic()
        for row in rows:
            line = _line(row)
            changed = self._told.get(row.id, "").split(" ")[0] != row.state
            if line != self._told.get(row.id) and (changed or look.settled or now >= self._next):
                self._told[row.id] = line
                click.echo(f"{time.strftime('%H:%M:%S')} {row.name}: {line}")
        for note in look.notes:
            if self._told.get(note) is None:
                self._told[note] = note
                click.echo(f"{time.strftime('%H:%M:%S')} note: {note}")
        if now >= self._next:
            self._next = now + LINES_S


def _line(row: Row) -> str:
    if row.state is State.RUNNING:
        top1 = row.metrics.get("val/top1")
        seen = "" if top1 is None else f", val/top1 {top1:.1f}"
        return f"RUNNING epoch {row.epoch}/{row.epochs}{seen}"
    if row.outcome not in (None, "finished"):
        return f"{row.state} ({row.outcome})"
    return f"{row.state} {reason_of_row(row)}".rstrip()
