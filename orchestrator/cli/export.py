"""orchestrate export STUDY|SWEEP FILE.tar.gz"""

from pathlib import Path

import click

from orchestrator.cli.candidates import completed_by, studies
from orchestrator.cli.options import json_option, root_option
from orchestrator.cli.prose import say


@click.command()
@click.argument("name", metavar="STUDY|SWEEP", shell_complete=completed_by(studies))
@click.argument("file", metavar="FILE.tar.gz", type=click.Path(path_type=Path))
@click.option("--checkpoints", is_flag=True, help="With each job's newest checkpoint and weights.")
@json_option
@root_option
def export(name: str, file: Path, checkpoints: bool, as_json: bool, root_path: Path) -> None:
    """Write all that was asked and measured in a study to one file, for another run root.

    Neither datasets nor code are in it, and checkpoints only if asked for: with them
    what was stopped can go on elsewhere.

    \b
    orchestrate export gated-vit gated-vit.tar.gz
    orchestrate export exp2_registers exp2.tar.gz --checkpoints
    """
    from orchestrator.cli.render import print_json, size
    from orchestrator.controller import export as controller
    from orchestrator.jobs.store import open_root

    done = controller.export(open_root(root_path), name, file, checkpoints=checkpoints)
    if as_json:
        print_json(controller.as_json(file, done))
        return
    counts = ", ".join(f"{count} {state}" for state, count in done.counts.items())
    say(f"{file}: {', '.join(done.sweeps)}: {counts}; {done.files} files, {size(done.size)}")
    if done.open:
        say(
            f"note: {done.open} of these still run or wait, or nobody knows: where they are "
            "imported they are UNKNOWN, and nobody starts them again by itself",
            err=True,
        )
