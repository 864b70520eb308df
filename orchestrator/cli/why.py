"""orchestrate why JOB"""

from pathlib import Path

import click

from orchestrator.cli.options import root_option


@click.command()
@click.argument("job", metavar="JOB")
@root_option
def why(job: str, root_path: Path) -> None:
    """Say what a job waits for, or how it ended, in a sentence, and what to do next.

    \b
    orchestrate why exp2_registers/registers-8
    """
    from orchestrator.controller.select import select_one
    from orchestrator.controller.why import explain
    from orchestrator.jobs.store import open_root

    root = open_root(root_path)
    for line in explain(root, select_one(root, job)):
        click.echo(line)
