"""orchestrate cancel [STUDY|SWEEP|JOB] [--where EXPRESSION]"""

import sys
from pathlib import Path

import click

from orchestrator.cli.options import (
    agreed,
    jobs_argument,
    json_option,
    root_option,
    say_which,
    where_option,
)
from orchestrator.cli.prose import say


@click.command()
@jobs_argument
@where_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--why", default="", help="Kept with the order.")
@json_option
@root_option
def cancel(
    jobs: str | None, where: str | None, yes: bool, why: str, as_json: bool, root_path: Path
) -> None:
    """Stop jobs that run or wait; they save their state, and stay cancelled until launched again.

    --json without --yes only shows which.

    \b
    orchestrate cancel quickstart
    orchestrate cancel quickstart/vanilla --yes
    orchestrate cancel exp2 --where 'registers > 8 and state == "QUEUED"'
    """
    from orchestrator.cli.render import print_json
    from orchestrator.controller import cancel as controller
    from orchestrator.controller.where import meant
    from orchestrator.jobs.store import open_root

    say_which(jobs, where)
    root = open_root(root_path)
    named = {job.id: job.name for job in meant(root, jobs, where)}
    changed = controller.cancellable(root, list(named))
    if as_json:
        told = {job: named[job] for job in changed}
        warnings = controller.cancel(root, changed, why) if yes and changed else []
        print_json(controller.as_json(told, warnings, cancelled=yes and bool(changed)))
        return
    if not changed:
        say("Nothing to cancel: none of these jobs runs, waits or would be tried again.")
        return
    say(f"{len(changed)} of {len(named)}: {', '.join(named[job] for job in changed)}")
    if not yes and not agreed("Cancel them?"):
        say("Nothing was cancelled (--yes cancels without asking).")
        sys.exit(1)
    for warning in controller.cancel(root, changed, why):
        say(f"warning: {warning}", err=True)
    say("Cancelled. What runs saves its state first; launch again to go on.")
