"""orchestrate sync [STUDY|SWEEP]..."""

from pathlib import Path

import click

from orchestrator.cli.options import root_option, store_option


@click.command()
@click.argument("names", metavar="[STUDY|SWEEP]...", nargs=-1)
@store_option
@root_option
def sync(names: tuple[str, ...], store: str | None, root_path: Path) -> None:
    """Bring MLflow up to date with what was measured; as often as you like.

    MLflow is only shown what the journals say: its store may be deleted, and made anew by a sync.

    \b
    orchestrate sync
    orchestrate sync gated-vit --store http://mlflow.example:5000
    """
    from orchestrator.controller.sync import locate_store, sync_sweeps
    from orchestrator.jobs.store import open_root
    from orchestrator.mirror.sync import without_password

    root = open_root(root_path)
    uri = locate_store(root, store)
    done = sync_sweeps(root, names, uri)
    click.echo(
        f"{without_password(uri)}: {done.updated} runs brought up to date, {done.created} of them "
        f"new, {done.points} points, {done.pictures} pictures"
    )
    for trouble in done.troubles:
        click.echo(f"warning: {trouble}", err=True)
