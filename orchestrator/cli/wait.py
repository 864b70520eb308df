"""Watching sweeps until they have ended: a calm screen, or plain lines in a log."""

import time
from collections.abc import Callable, Sequence
from functools import partial

import click

from orchestrator.cli.jobs_table import reason_of_row
from orchestrator.cli.live_screen import LiveScreen, is_live
from orchestrator.cli.overview import Onlooker, Overview
from orchestrator.cli.render import console, states
from orchestrator.controller.failures import folded
from orchestrator.controller.rounds import rounds
from orchestrator.controller.status import Row, rows_of
from orchestrator.controller.watch import Round, as_json
from orchestrator.documents.jobs import WatchDocument
from orchestrator.executors.slurm_tender import NOT_OVER
from orchestrator.jobs.layout import Root
from orchestrator.jobs.state import State

FAILED_JOBS = 3
LINES_S = 10.0
AS_ASKED = (State.DONE, State.STOPPED)
"""How jobs end without anything being wrong."""


def wait_for(root: Root, sweeps: Sequence[str], every: float | None = None) -> int:
    """Tend the sweeps until nothing more happens by itself; the number of jobs not ``AS_ASKED``.

    ``every``: seconds between two rounds, in place of what the places bear.
    """
    show = _Live(root) if is_live(console()) else _Lines()
    with show:
        for look in rounds(root, sweeps, every):
            rows = rows_of(root, look.jobs, look.found)
            show.tell(rows, look)
    missing = [row for row in rows if row.state not in AS_ASKED]
    for line in _told(missing):
        click.echo(line)
    if stopped := sum(row.state is State.STOPPED for row in rows):
        click.echo(f"{stopped} of {len(rows)} jobs were stopped by a search.")
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


def watch_once(root: Root, sweeps: Sequence[str], tell: Callable[[WatchDocument], None]) -> int:
    """One round; returns the exit code: 0 all done, 3 over with jobs not done, 4 more to come."""
    *_, look = rounds(root, sweeps, once=True)
    rows = rows_of(root, look.jobs, look.found)
    found = [row.state for row in rows]
    tell(as_json(sweeps, found, look.notes, over=look.settled))
    if not look.settled:
        return NOT_OVER
    return 0 if {*found} <= {*AS_ASKED} else FAILED_JOBS


def tell_round(told: WatchDocument) -> None:
    """A line for a log, and what was said against the round."""
    counts = states({State(state): count for state, count in told["counts"].items()}).plain
    click.echo(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {', '.join(told['sweeps'])}: {counts}")
    for note in told["notes"]:
        click.echo(f"note: {note}")


class _Live:
    """The screen that ``status --watch`` shows."""

    def __init__(self, root: Root) -> None:
        self._screen, self._overview = LiveScreen(console()), Overview()
        self._onlooker = Onlooker(root)

    def __enter__(self) -> None:
        self._screen.__enter__()

    def __exit__(self, *error: object) -> None:
        self._screen.__exit__(*error)

    def tell(self, rows: Sequence[Row], look: Round) -> None:
        seen = self._onlooker.seen(look.jobs, rows, look.found, look.notes)
        self._screen.show(partial(self._overview.lines, seen))


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
