"""orchestrate failures [STUDY|SWEEP]"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.candidates import completed_by, studies
from orchestrator.cli.options import json_option, root_option, where_option
from orchestrator.cli.prose import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.controller.failures import Group, Rate


@click.command()
@click.argument(
    "jobs", metavar="[STUDY|SWEEP]", required=False, shell_complete=completed_by(studies)
)
@where_option
@json_option
@root_option
def failures(jobs: str | None, where: str | None, as_json: bool, root_path: Path) -> None:
    """Show what failed, grouped by why, and what such jobs have in common.

    The rates are of the jobs that started, by value of each axis.

    \b
    orchestrate failures
    orchestrate failures quickstart --json
    """
    from orchestrator.cli.render import print_json
    from orchestrator.controller import failures as controller
    from orchestrator.controller.status import look_at
    from orchestrator.controller.where import meant
    from orchestrator.jobs.store import open_root

    root = open_root(root_path)
    selected = meant(root, jobs, where)
    found = look_at(root, selected)
    cases = controller.cases_of(root, selected, found)
    groups, shares = controller.grouped(cases), controller.rates(cases)
    if as_json:
        sweep = jobs if jobs in root.sweep_names() else None
        print_json(
            controller.as_json(sweep, groups, shares, started=len(cases), notes=found.troubles)
        )
        return
    _print(groups, shares, started=len(cases))
    for note in found.troubles:
        say(f"note: {note}", err=True)


def _print(groups: "Sequence[Group]", shares: "Sequence[Rate]", *, started: int) -> None:
    from orchestrator.cli.render import show
    from orchestrator.cli.tables import once, table
    from orchestrator.jobs.rules import ADVICE
    from orchestrator.results.groups import label

    failed = sum(group.count for group in groups)
    say(f"{failed} of {started} started jobs failed.")
    for group in groups:
        only = ", ".join(f"{axis}={label(value)}" for axis, value in group.only.items())
        jobs = f"{group.count} job{'s' if group.count > 1 else ''}"
        say(f"\n{jobs}: {group.kind}: {group.message}{f', only {only}' if only else ''}")
        if group.kind in ADVICE:
            say(f"  advice: {ADVICE[group.kind]}")
        say(f"  {group.example['name']}: orchestrate logs {group.example['id'][:8]}")
    if failed and shares:
        click.echo()
        rows = [
            (one.axis, label(one.value), str(one.failed), str(one.started), f"{one.rate:.0%}")
            for one in shares
        ]
        columns = ("axis", "value", "failed", "started", "rate")
        show(table(columns, once(rows), right=columns[2:]))
