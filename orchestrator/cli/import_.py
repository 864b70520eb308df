"""orchestrate import FILE"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.options import root_option

if TYPE_CHECKING:
    from orchestrator.controller.import_ import Plan

NAMED = 8
"""So many jobs are named."""


@click.command("import")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only say what would be written.")
@root_option
def import_(file: Path, dry_run: bool, root_path: Path) -> None:
    """Merge an exported study into this run root, made if there is none.

    What is here stays as it is. A job that is in both and differs is left alone, and
    named. Run it again after whatever ended it: it completes.

    \b
    orchestrate import gated-vit.tar.gz
    orchestrate import gated-vit.tar.gz --root ~/archive --dry-run
    """
    from orchestrator.cli.render import size
    from orchestrator.controller.import_ import Fate, plan_import
    from orchestrator.controller.merge import import_study
    from orchestrator.jobs.archive import open_archive
    from orchestrator.jobs.layout import Root

    archive = open_archive(file)
    plan = plan_import(Root(root_path), archive)
    click.echo(
        f"{file}: {', '.join(archive.about['sweeps'])} of run root {archive.about['root'][:8]}: "
        f"{plan.counts[Fate.NEW]} new jobs, {size(plan.size)}"
    )
    if not dry_run:
        plan = import_study(root_path, archive)
    _report(plan, root_path, "would be" if dry_run else "were")


def _report(plan: "Plan", root_path: Path, were: str) -> None:
    from orchestrator.controller.import_ import Fate

    counts = plan.counts
    click.echo(
        f"{counts[Fate.NEW]} of {counts.total()} jobs {were} written to {root_path}, "
        f"{counts[Fate.SAME]} are there already"
    )
    for warning in plan.warnings:
        click.echo(f"warning: {warning}", err=True)
    others = [job[:8] for job, fate in plan.fates.items() if fate is Fate.OTHER]
    if others:
        why = "here it has other attempts or submissions"
        click.echo(f"warning: {_list(others)} left alone: {why}", err=True)
    for sweep in plan.other_sweeps:
        why = "was launched here, or is here in another form, and stays so"
        click.echo(f"warning: sweep {sweep} {why}", err=True)
    if plan.open:
        told = [f"{job[:8]} {state}" for job, state in plan.open.items()]
        click.echo(f"note: not over when it was exported, UNKNOWN here: {_list(told)}", err=True)


def _list(told: list[str]) -> str:
    more = f", and {len(told) - NAMED} more" if len(told) > NAMED else ""
    return f"{', '.join(told[:NAMED])}{more}"
