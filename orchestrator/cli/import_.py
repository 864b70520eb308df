"""orchestrate import FILE"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.options import json_option, root_option
from orchestrator.cli.prose import say

if TYPE_CHECKING:
    from orchestrator.controller.import_ import Plan

NAMED = 8
"""So many jobs are named."""


@click.command("import")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only say what would be written.")
@json_option
@root_option
def import_(file: Path, dry_run: bool, as_json: bool, root_path: Path) -> None:
    """Merge an exported study into this run root, made if there is none.

    What is here stays as it is. A job that is in both and differs is left alone, and
    named. Run it again after whatever ended it: it completes.

    \b
    orchestrate import gated-vit.tar.gz
    orchestrate import gated-vit.tar.gz --root ~/archive --dry-run
    """
    from orchestrator.cli.render import print_json, size
    from orchestrator.controller import import_ as controller
    from orchestrator.controller.merge import import_study
    from orchestrator.jobs.archive import open_archive
    from orchestrator.jobs.layout import Root

    archive = open_archive(file)
    if as_json:
        here = Root(root_path)
        merged = (
            controller.plan_import(here, archive) if dry_run else import_study(root_path, archive)
        )
        print_json(controller.as_json(merged, written=not dry_run))
        return
    plan = controller.plan_import(Root(root_path), archive)
    say(
        f"{file}: {', '.join(archive.about['sweeps'])} of run root {archive.about['root'][:8]}: "
        f"{plan.counts[controller.Fate.NEW]} new jobs, {size(plan.size)}"
    )
    if not dry_run:
        plan = import_study(root_path, archive)
    _report(plan, root_path, "would be" if dry_run else "were")


def _report(plan: "Plan", root_path: Path, were: str) -> None:
    from orchestrator.controller.import_ import Fate

    counts = plan.counts
    say(
        f"{counts[Fate.NEW]} of {counts.total()} jobs {were} written to {root_path}, "
        f"{counts[Fate.SAME]} are there already"
    )
    for warning in plan.warnings:
        say(f"warning: {warning}", err=True)
    others = [job[:8] for job, fate in plan.fates.items() if fate is Fate.OTHER]
    if others:
        why = "here it has other attempts or submissions"
        say(f"warning: {_list(others)} left alone: {why}", err=True)
    for sweep in plan.other_sweeps:
        why = "was launched here, or is here in another form, and stays so"
        say(f"warning: sweep {sweep} {why}", err=True)
    if plan.open:
        told = [f"{job[:8]} {state}" for job, state in plan.open.items()]
        say(f"note: not over when it was exported, UNKNOWN here: {_list(told)}", err=True)


def _list(told: list[str]) -> str:
    more = f", and {len(told) - NAMED} more" if len(told) > NAMED else ""
    return f"{', '.join(told[:NAMED])}{more}"
