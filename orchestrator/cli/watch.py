"""orchestrate watch [STUDY|SWEEP]..."""

import sys
from pathlib import Path

import click

from orchestrator.cli.candidates import completed_by, studies
from orchestrator.cli.options import every_option, json_option, root_option


@click.command()
@click.argument(
    "sweeps", metavar="[STUDY|SWEEP]...", nargs=-1, shell_complete=completed_by(studies)
)
@click.option("--once", is_flag=True, help="One round, then leave; exit 4 while more is to come.")
@every_option
@json_option
@root_option
def watch(
    sweeps: tuple[str, ...], once: bool, every: float | None, as_json: bool, root_path: Path
) -> None:
    """Tend launched sweeps until they have ended: store what became of jobs, submit what is due.

    Without a name, every sweep of the run root. Exit code 3: jobs are left that are not done.
    --json goes with --once.

    \b
    orchestrate watch exp2_registers
    orchestrate watch --once            # for cron
    """
    from orchestrator.cli.main import INTERRUPTED
    from orchestrator.cli.render import print_json
    from orchestrator.cli.wait import FAILED_JOBS, tell_round, wait_for, watch_once
    from orchestrator.controller.watch import sweeps_to_tend
    from orchestrator.jobs.store import open_root

    if as_json and not once:
        raise click.UsageError("--json tells of one round: say --once too")
    root = open_root(root_path)
    names = sweeps_to_tend(root, sweeps)
    if once:
        sys.exit(watch_once(root, names, print_json if as_json else tell_round))
    try:
        missing = wait_for(root, names, every)
    except KeyboardInterrupt:
        click.echo("\nNo longer watching; what is submitted runs on.")
        sys.exit(INTERRUPTED)
    sys.exit(FAILED_JOBS if missing else 0)
