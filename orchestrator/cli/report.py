"""What a launch tells: what was submitted, what was left alone and why."""

import click

from orchestrator.controller.launch import Launched
from orchestrator.jobs.state import State
from orchestrator.sweep.expand import Sweep

LEFT_ALONE = {
    State.DONE: "done already",
    State.RUNNING: "running already",
    State.QUEUED: "waiting already",
    State.UNKNOWN: "of unknown fate: left alone until their place answers",
}


def report_launch(sweep: Sweep, launched: Launched) -> None:
    """Print it."""
    for warning in launched.warnings:
        click.echo(f"warning: {warning}", err=True)
    count = len(launched.submitted)
    click.echo(
        f"{sweep.name}: {count} of {len(sweep.points)} jobs submitted ({sweep.executor}), "
        f"run root {launched.root.path}"
    )
    for state, jobs in launched.left_alone.items():
        click.echo(f"  {jobs} {LEFT_ALONE[state]}")
    if launched.dropped_running:
        names = ", ".join(launched.dropped_running)
        click.echo(
            f"  {len(launched.dropped_running)} no longer in the sweep, but running: {names}"
        )
    if count:
        click.echo(f"See: orchestrate status {sweep.name}")
