"""orchestrate logs JOB"""

import sys
import time
from pathlib import Path

import click

from orchestrator.cli.options import root_option

POLL_S = 0.5


@click.command()
@click.argument("job", metavar="JOB")
@click.option("-f", "--follow", is_flag=True, help="Go on printing until the job has ended.")
@click.option("--attempt", type=int, help="Which start of the job [the newest].")
@click.option("--rank", type=int, default=0, show_default=True)
@root_option
def logs(
    job: str,
    follow: bool,
    attempt: int | None,
    rank: int,
    root_path: Path,
) -> None:
    """Show what a job printed.

    \b
    orchestrate logs quickstart/vanilla
    orchestrate logs 3f9c21 -f
    """
    from orchestrator.controller.logs import find_log, is_over
    from orchestrator.controller.select import select_one
    from orchestrator.jobs.store import open_root

    root = open_root(root_path)
    named = select_one(root, job)
    path = find_log(root, named, attempt=attempt, rank=rank)
    with path.open("rb") as file:
        while True:
            over = not follow or is_over(root, named)
            sys.stdout.buffer.write(file.read())
            sys.stdout.buffer.flush()
            if over:
                return
            time.sleep(POLL_S)
