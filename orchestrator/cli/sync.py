"""orchestrate sync [STUDY|SWEEP]..."""

from pathlib import Path

import click

from orchestrator.cli.candidates import completed_by, studies
from orchestrator.cli.options import json_option, root_option, store_option, where_option
from orchestrator.cli.prose import say


@click.command()
@click.argument("names", metavar="[STUDY|SWEEP]...", nargs=-1, shell_complete=completed_by(studies))
@where_option
@store_option
@json_option
@root_option
def sync(
    names: tuple[str, ...],
    where: str | None,
    store: str | None,
    as_json: bool,
    root_path: Path,
) -> None:
    """Bring MLflow up to date with what was measured; as often as you like.

    MLflow is only shown what the journals say: its store may be deleted, and made anew by a sync.

    \b
    orchestrate sync
    orchestrate sync gated-vit --store http://mlflow.example:5000
    orchestrate sync exp2 --where 'state == "DONE"'
    """
    from orchestrator.cli.render import print_json
    from orchestrator.controller import sync as controller
    from orchestrator.jobs.store import open_root
    from orchestrator.mirror.sync import without_password

    root = open_root(root_path)
    uri = controller.locate_store(root, store)
    done = controller.sync_sweeps(root, names, uri, where=where)
    if as_json:
        print_json(controller.as_json(without_password(uri), done))
        return
    say(
        f"{without_password(uri)}: {done.updated} runs brought up to date, {done.created} of them "
        f"new, {done.points} points, {done.pictures} pictures"
    )
    for trouble in done.troubles:
        say(f"warning: {trouble}", err=True)
