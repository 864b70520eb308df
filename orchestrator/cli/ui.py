"""orchestrate ui [STUDY|SWEEP]"""

from pathlib import Path

import click

from orchestrator.cli.options import root_option, store_option


@click.command()
@click.argument("name", metavar="[STUDY|SWEEP]", required=False)
@store_option
@click.option("--port", type=click.IntRange(1, 65535), help="[the first free one from 5000 on]")
@click.option(
    "--password/--no-password",
    "protected",
    default=None,
    help="Ask whoever opens the page for a password [where other people can log in].",
)
@root_option
def ui(
    name: str | None, store: str | None, port: int | None, protected: bool | None, root_path: Path
) -> None:
    """Serve a study in MLflow's pages, and keep them up to date, until Ctrl-C.

    Prints the pages' addresses. The server answers on this machine alone. A store that has a server
    of its own (--store http://...) is only kept up to date.

    \b
    orchestrate ui gated-vit
    """
    from orchestrator.cli.main import INTERRUPTED
    from orchestrator.controller.sync import locate_store
    from orchestrator.controller.ui import Ui
    from orchestrator.jobs.store import open_root

    root = open_root(root_path)
    try:
        Ui(root, name, locate_store(root, store), click.echo).show(port=port, protected=protected)
    except KeyboardInterrupt:
        click.echo("\nClosed; orchestrate ui opens it again, with everything in it.")
        raise SystemExit(INTERRUPTED) from None
