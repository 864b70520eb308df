"""orchestrate gc [STUDY|SWEEP|JOB ...]"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.candidates import completed_by, studies_and_jobs
from orchestrator.cli.options import json_option, root_option, where_option
from orchestrator.cli.prose import say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.controller.garbage import Thing

NAMED = 5
"""So many jobs are named in a line."""


@click.command()
@click.argument(
    "jobs", metavar="[STUDY|SWEEP|JOB]...", nargs=-1, shell_complete=completed_by(studies_and_jobs)
)
@where_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--older-than",
    "days",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="DAYS",
    help="Only what was not changed for so long.",
)
@json_option
@root_option
def gc(
    jobs: tuple[str, ...], where: str | None, yes: bool, days: float, as_json: bool, root_path: Path
) -> None:
    """Free disk space: of jobs that are done, weights are kept, and what would resume them goes.

    Without SWEEP, JOB or --where also snapshots of code that no job needs, and what killed
    processes left. Shows first what goes; --json without --yes only shows it.

    \b
    orchestrate gc
    orchestrate gc quickstart --older-than 7 --yes
    """
    from orchestrator.cli.render import print_json
    from orchestrator.controller import gc as controller
    from orchestrator.controller.garbage import find_garbage
    from orchestrator.jobs.store import open_root

    root = open_root(root_path)
    scope, names = controller.scope_of(root, jobs, where, days)
    found = find_garbage(scope)
    if as_json and not yes:
        print_json(controller.as_json(found.things, found.kept, names, found.troubles))
        return
    if not as_json:
        _print(found.things, found.kept, names)
        for note in found.troubles:
            say(f"note: {note}", err=True)
    if found.mine and not yes and not _agreed():
        say("Nothing was removed (--yes removes without asking).")
        sys.exit(1)
    freed = controller.free(scope, found)
    if as_json:
        kept = {**found.kept, **freed.kept}
        print_json(controller.as_json(freed.things, kept, names, freed.troubles))
    elif found.mine:
        _print_freed(freed.things, freed.kept, names)
    controller.check_freed(freed)


def _print(
    things: "Sequence[Thing]", kept: "Mapping[str, str]", names: "Mapping[str, str]"
) -> None:
    from orchestrator.cli.render import show, size
    from orchestrator.cli.tables import table
    from orchestrator.controller.gc import rows_of

    rows = rows_of(things)
    mine = [(row.what, str(row.things), size(row.bytes)) for row in rows if row.things]
    if mine:
        total = (sum(row.things for row in rows), sum(row.bytes for row in rows))
        mine.append(("total", str(total[0]), size(total[1])))
        show(table(("what goes", "count", "size"), mine, right=("count", "size")))
    else:
        say("Nothing to remove.")
    others = [row for row in rows if row.of_others]
    if others:
        count = sum(row.of_others for row in others)
        room = size(sum(row.bytes_of_others for row in others))
        say(f"{count} more, {room}, are of others: only they can remove them.")
    _print_kept(kept, names)


def _print_freed(
    things: "Sequence[Thing]", kept: "Mapping[str, str]", names: "Mapping[str, str]"
) -> None:
    from orchestrator.cli.render import size

    say(f"Freed {size(sum(thing.bytes for thing in things))}.")
    _print_kept(kept, names)


def _print_kept(kept: "Mapping[str, str]", names: "Mapping[str, str]") -> None:
    """A line for each reason why states stay, with the first of the jobs."""
    for why in dict.fromkeys(kept.values()):
        jobs = [names.get(job, job) for job, told in kept.items() if told == why]
        more = f" and {len(jobs) - NAMED} more" if len(jobs) > NAMED else ""
        say(f"kept: checkpoints of {', '.join(jobs[:NAMED])}{more}: {why}")


def _agreed() -> bool:
    try:
        return click.confirm("Remove them?")
    except click.Abort:  # no terminal to answer at
        click.echo()
        return False
