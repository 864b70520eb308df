"""orchestrate report STUDY|SWEEP"""

from pathlib import Path

import click

from orchestrator.cli.candidates import completed_by, studies
from orchestrator.cli.options import json_option, root_option
from orchestrator.cli.prose import say


@click.command()
@click.argument("name", metavar="STUDY|SWEEP", shell_complete=completed_by(studies))
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.html",
    help="The page; what is there is replaced [NAME.html].",
)
@click.option(
    "--figures",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Keep each figure there, too, as SVG and PDF for a paper.",
)
@json_option
@root_option
def report(
    name: str, out: Path | None, figures: Path | None, as_json: bool, root_path: Path
) -> None:
    """Write the answer of a study as one page that needs no other file and no network.

    Its questions as they were written before the run; arms by accuracy, cost and artifacts, with
    differences and intervals; figures; failures, costs, and the commands that make it again. What
    was not measured is left out, and that is said.

    \b
    orchestrate report gated-vit
    orchestrate report exp2_registers -o registers.html --figures figures
    """
    from orchestrator.cli.render import print_json
    from orchestrator.controller import report as controller
    from orchestrator.jobs.store import open_root

    page = out or Path(f"{name}.html")
    written = controller.report(open_root(root_path), name, page, figures)
    if as_json:
        print_json(controller.as_json(written))
        return
    if figures:
        say(f"{len(written) - 1} files of figures in {figures.absolute()}")
    say(f"Report: {page.absolute()}")
