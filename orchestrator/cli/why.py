"""orchestrate why JOB"""

from pathlib import Path

import click

from orchestrator.cli.candidates import completed_by, jobs
from orchestrator.cli.options import json_option, root_option
from orchestrator.cli.prose import say


@click.command()
@click.argument("job", metavar="JOB", shell_complete=completed_by(jobs))
@json_option
@root_option
def why(job: str, as_json: bool, root_path: Path) -> None:
    """Say what a job waits for, or how it ended, in a sentence, and what to do next.

    \b
    orchestrate why exp2_registers/registers=8,seed=0
    orchestrate why 3f9c21ab --json
    """
    from orchestrator.cli.render import print_json
    from orchestrator.controller import why as controller
    from orchestrator.controller.select import select_one
    from orchestrator.jobs.store import open_root

    root = open_root(root_path)
    explained = controller.explain(root, select_one(root, job))
    if as_json:
        print_json(controller.as_json(explained))
        return
    for line in explained.lines:
        say(line)
