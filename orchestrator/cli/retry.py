"""orchestrate retry SWEEP|JOB"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from orchestrator.cli.options import root_option

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.controller.select import Named
    from orchestrator.controller.survey import Survey


@click.command()
@click.argument("jobs", metavar="SWEEP|JOB")
@click.option("--why", is_flag=True, help="Only tell the rules that these failures fall under.")
@root_option
def retry(jobs: str, why: bool, root_path: "Path") -> None:
    """Try jobs again that failed or were given up, with new budgets.

    They run today's code, but for preempted ones, which go on with that of their checkpoint.
    What is only held waits on: launch its sweep.

    \b
    orchestrate retry quickstart --why
    orchestrate retry quickstart
    orchestrate retry quickstart/vanilla
    """
    from orchestrator.controller.retry import retry as run
    from orchestrator.controller.retry import to_retry
    from orchestrator.controller.select import select
    from orchestrator.controller.survey import survey
    from orchestrator.jobs.store import open_root

    root = open_root(root_path)
    named = select(root, jobs)
    found = survey(root, [job.id for job in named])
    again = {*to_retry(found)}
    if not again:
        click.echo("Nothing to retry: none of these jobs failed or was given up.")
        return
    if why:
        _tell_rules([job for job in named if job.id in again], found)
        return
    retried = run(root, named, jobs.partition("/")[0])
    for warning in retried.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"{len(retried.submitted)} of {len(named)} jobs submitted again.")
    if retried.later:
        click.echo(
            f"  {len(retried.later)} more are due than the place takes now; they are submitted as "
            "room comes, by orchestrate watch"
        )
    if retried.orphans:
        click.echo(
            f"  {len(retried.orphans)} are in no sweep any more: put them back into one, and "
            "launch it"
        )


def _tell_rules(jobs: "Sequence[Named]", found: "Survey") -> None:
    """For each kind of failure: the rule, how far it is spent, and what a person can do."""
    from orchestrator.controller.why import rule_in_words

    told: dict[tuple[str, ...], list[str]] = {}
    for job in jobs:
        words = rule_in_words(found, job.id) or [found.statuses[job.id].reason]
        told.setdefault(tuple(words), []).append(job.name)
    for lines, names in told.items():
        click.echo(f"{len(names)}: {', '.join(names)}")
        for line in lines:
            click.echo(f"  {line}")
