"""Options that several verbs share."""

from collections.abc import Callable
from pathlib import Path

import click

from orchestrator.jobs.store import locate_data, locate_root

root_option: Callable[[click.decorators.FC], click.decorators.FC] = click.option(
    "--root",
    "root_path",
    metavar="DIR",
    callback=lambda _context, _option, value: locate_root(value),
    help="Run root [$ORCHESTRATE_ROOT, the nearest runs/ upward, ./runs].",
)
data_root_option: Callable[[click.decorators.FC], click.decorators.FC] = click.option(
    "--data-root",
    metavar="DIR",
    callback=lambda _context, _option, value: locate_data(value),
    help="Folder of the datasets [$ORCHESTRATE_DATA, ./data].",
)
every_option: Callable[[click.decorators.FC], click.decorators.FC] = click.option(
    "--every",
    metavar="SECONDS",
    type=click.FloatRange(min=1),
    help="Between two rounds [1 on this machine, 15 on a cluster; 60 for a controller].",
)
json_option: Callable[[click.decorators.FC], click.decorators.FC] = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON instead of a table."
)
store_option: Callable[[click.decorators.FC], click.decorators.FC] = click.option(
    "--store",
    metavar="URI",
    help="MLflow's store [$MLFLOW_TRACKING_URI, a SQLite file of this run root].",
)
set_option: Callable[[click.decorators.FC], click.decorators.FC] = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set a configuration key at every point; may be repeated.",
)
seeds_option: Callable[[click.decorators.FC], click.decorators.FC] = click.option(
    "--seeds",
    metavar="N,N,...",
    callback=lambda _context, _option, value: _integers(value),
    help="Seeds in place of the sweep's.",
)
sweep_argument: Callable[[click.decorators.FC], click.decorators.FC] = click.argument(
    "sweep_file", metavar="SWEEP.yaml", type=click.Path(path_type=Path)
)


def _integers(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise click.BadParameter(f"'{text}' is not a list of integers such as 0,1,2") from None


def agreed(question: str) -> bool:
    """Whether whoever sits there says yes; nobody there says no."""
    try:
        return click.confirm(question)
    except click.Abort:  # no terminal to answer at
        click.echo()
        return False
