"""orchestrate retry [STUDY|SWEEP|JOB] [--where EXPRESSION]"""

from pathlib import Path

import click

from orchestrator.cli.options import (
    jobs_argument,
    json_option,
    root_option,
    say_which,
    where_option,
)
from orchestrator.cli.prose import say


@click.command()
@jobs_argument
@where_option
@click.option(
    "--stopped",
    is_flag=True,
    help="Also those that a search stopped: they go to their full length, judged no more.",
)
@click.option("--why", is_flag=True, help="Only tell the rules that these failures fall under.")
@json_option
@root_option
def retry(
    jobs: str | None,
    where: str | None,
    stopped: bool,
    why: bool,
    as_json: bool,
    root_path: Path,
) -> None:
    """Try jobs again that failed or were given up, with new budgets.

    They run today's code, but for preempted ones, which go on with that of their checkpoint.
    What is only held waits on: launch its sweep.

    \b
    orchestrate retry quickstart --why
    orchestrate retry quickstart
    orchestrate retry quickstart/vanilla
    orchestrate retry --where '"out of memory" in reason'
    orchestrate retry exp2 --stopped --where 'registers == 4'
    """
    from orchestrator.cli.render import print_json
    from orchestrator.controller import retry as controller
    from orchestrator.controller.survey import survey
    from orchestrator.controller.where import meant
    from orchestrator.controller.why import rules_as_json, rules_of
    from orchestrator.jobs.state import State
    from orchestrator.jobs.store import open_root

    say_which(jobs, where)
    root = open_root(root_path)
    named = meant(root, jobs, where)
    found = survey(root, [job.id for job in named])
    again = {*controller.to_retry(found, stopped=stopped)}
    if not again and not as_json:
        ended = sum(status.state is State.STOPPED for status in found.statuses.values())
        more = f" {ended} were stopped by a search: to train them whole, add --stopped." * bool(
            ended
        )
        say(f"Nothing to retry: none of these jobs failed or was given up.{more}")
        return
    if why:
        rules = rules_of([job for job in named if job.id in again], found)
        if as_json:
            print_json(rules_as_json(rules))
            return
        for one in rules:
            say(f"{len(one.jobs)}: {', '.join(job.name for job in one.jobs)}")
            for line in one.told:
                say(f"  {line}")
        return
    retried = controller.retry(root, named, jobs, stopped=stopped)
    if as_json:
        print_json(controller.as_json(retried))
        return
    for warning in retried.warnings:
        say(f"warning: {warning}", err=True)
    say(f"{len(retried.submitted)} of {len(named)} jobs submitted again.")
    if retried.later:
        say(
            f"  {len(retried.later)} more are due than the place takes now; they are submitted as "
            "room comes, by orchestrate watch"
        )
    if retried.orphans:
        say(
            f"  {len(retried.orphans)} are in no sweep any more: put them back into one, and "
            "launch it"
        )
