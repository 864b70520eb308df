"""orchestrate logs JOB"""

import sys
import time
from pathlib import Path

import click

from orchestrator.cli.candidates import completed_by, jobs
from orchestrator.cli.options import root_option, say_which, where_option
from orchestrator.cli.prose import say

POLL_S = 0.5


@click.command()
@click.argument("job", metavar="[JOB]", required=False, shell_complete=completed_by(jobs))
@where_option
@click.option("-f", "--follow", is_flag=True, help="Go on printing until the job has ended.")
@click.option("--attempt", type=int, help="Which start of the job [the newest].")
@click.option("--rank", type=int, default=0, show_default=True)
@root_option
def logs(
    job: str | None,
    where: str | None,
    follow: bool,
    attempt: int | None,
    rank: int,
    root_path: Path,
) -> None:
    """Show what a job printed; --where may say which, if it holds for one alone.

    \b
    orchestrate logs quickstart/vanilla
    orchestrate logs 3f9c21 -f
    orchestrate logs exp2 --where 'registers == 8 and state == "FAILED"'
    """
    from orchestrator.controller.logs import find_log, is_over
    from orchestrator.controller.where import meant_one
    from orchestrator.jobs.store import open_root

    say_which(job, where)
    root = open_root(root_path)
    named = meant_one(root, job, where)
    path = find_log(root, named, attempt=attempt, rank=rank)
    with path.open("rb") as file:
        while True:
            over = not follow or is_over(root, named)
            sys.stdout.buffer.write(file.read())
            sys.stdout.buffer.flush()
            if over:
                break
            time.sleep(POLL_S)
        if not file.tell():
            say(f"{named.name} printed nothing; what it measured: orchestrate status", err=True)
