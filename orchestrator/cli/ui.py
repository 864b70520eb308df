"""orchestrate ui [STUDY|SWEEP]"""

import signal
import sys
from pathlib import Path
from typing import Any

import click

from orchestrator.cli.candidates import completed_by, studies
from orchestrator.cli.options import root_option, store_option


@click.command()
@click.argument(
    "name", metavar="[STUDY|SWEEP]", required=False, shell_complete=completed_by(studies)
)
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
    for ended_by in (signal.SIGTERM, signal.SIGHUP):  # a terminal that is closed
        if signal.getsignal(ended_by) is not signal.SIG_IGN:
            signal.signal(ended_by, _leave)
    try:
        Ui(root, name, locate_store(root, store), click.echo).show(port=port, protected=protected)
    except KeyboardInterrupt:
        click.echo("\nClosed; orchestrate ui opens it again, with everything in it.")
        raise SystemExit(INTERRUPTED) from None


def _leave(number: int, _: Any) -> None:
    """End as after Ctrl-C: the server is stopped, and the lease given back."""
    sys.exit(128 + number)
