"""orchestrate cancel SWEEP|JOB"""

import sys
from pathlib import Path

import click

from orchestrator.cli.options import agreed, root_option


@click.command()
@click.argument("jobs", metavar="SWEEP|JOB")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--why", default="", help="Kept with the order.")
@root_option
def cancel(jobs: str, yes: bool, why: str, root_path: Path) -> None:
    """Stop jobs that run or wait; they save their state, and stay cancelled until launched again.

    \b
    orchestrate cancel quickstart
    orchestrate cancel quickstart/vanilla --yes
    """
    from orchestrator.controller import cancel as controller
    from orchestrator.controller.select import select
    from orchestrator.jobs.store import open_root

    root = open_root(root_path)
    named = {job.id: job.name for job in select(root, jobs)}
    changed = controller.cancellable(root, list(named))
    if not changed:
        click.echo("Nothing to cancel: none of these jobs runs, waits or would be tried again.")
        return
    click.echo(f"{len(changed)} of {len(named)}: {', '.join(named[job] for job in changed)}")
    if not yes and not agreed("Cancel them?"):
        click.echo("Nothing was cancelled (--yes cancels without asking).")
        sys.exit(1)
    for warning in controller.cancel(root, changed, why):
        click.echo(f"warning: {warning}", err=True)
    click.echo("Cancelled. What runs saves its state first; launch again to go on.")
