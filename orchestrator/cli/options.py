"""Options that several verbs share."""

from collections.abc import Callable
from pathlib import Path

import click

from orchestrator.cli.candidates import (
    axes,
    completed_by,
    conditions,
    executors,
    settings,
    studies,
    studies_and_jobs,
    sweep_files,
)


def _root(_context: click.Context, _option: click.Parameter, value: str | None) -> Path:
    from orchestrator.jobs.located import locate_root

    return locate_root(value)


def _data(_context: click.Context, _option: click.Parameter, value: str | None) -> Path:
    from orchestrator.jobs.located import locate_data

    return locate_data(value)


root_option: Callable[[click.decorators.FC], click.decorators.FC] = click.option(
    "--root",
    "root_path",
    metavar="DIR",
    callback=_root,
    help="Run root [$ORCHESTRATE_ROOT, the nearest runs/ upward, ./runs].",
)
data_root_option: Callable[[click.decorators.FC], click.decorators.FC] = click.option(
    "--data-root",
    metavar="DIR",
    callback=_data,
    help="Folder of the datasets [$ORCHESTRATE_DATA, ./data].",
)
every_option: Callable[[click.decorators.FC], click.decorators.FC] = click.option(
    "--every",
    metavar="SECONDS",
    type=click.FloatRange(min=1),
    help="Between two rounds [1 on this machine, 15 on a cluster; 60 for a controller].",
)
json_option: Callable[[click.decorators.FC], click.decorators.FC] = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, for programs (docs/json.md)."
)
jobs_argument: Callable[[click.decorators.FC], click.decorators.FC] = click.argument(
    "jobs",
    metavar="[STUDY|SWEEP|JOB]",
    required=False,
    shell_complete=completed_by(studies_and_jobs),
)
studies_argument: Callable[[click.decorators.FC], click.decorators.FC] = click.argument(
    "sweeps",
    metavar="STUDY|SWEEP...",
    nargs=-1,
    required=True,
    shell_complete=completed_by(studies),
)
where_option: Callable[[click.decorators.FC], click.decorators.FC] = click.option(
    "--where",
    metavar="EXPRESSION",
    shell_complete=completed_by(conditions),
    help="Only jobs for which it holds, such as 'lr > 1e-3 and state == \"FAILED\"'.",
)
by_option: Callable[[click.decorators.FC], click.decorators.FC] = click.option(
    "--by",
    multiple=True,
    metavar="AXIS",
    help="Group by this; repeatable [all axes].",
    shell_complete=completed_by(axes),
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
    shell_complete=completed_by(settings),
    help="Set a configuration key at every point; may be repeated.",
)
seeds_option: Callable[[click.decorators.FC], click.decorators.FC] = click.option(
    "--seeds",
    metavar="N,N,...",
    callback=lambda _context, _option, value: _integers(value),
    help="Seeds in place of the sweep's.",
)
executor_option: Callable[[click.decorators.FC], click.decorators.FC] = click.option(
    "--executor",
    metavar="NAME",
    shell_complete=completed_by(executors),
    help="Where to run, in place of the sweep's executor.",
)
cluster_option: Callable[[click.decorators.FC], click.decorators.FC] = click.option(
    "--cluster",
    "cluster_file",
    metavar="FILE",
    help="The cluster's profile [$ORCHESTRATE_CLUSTER, ~/.config/orchestrate/cluster.yaml, "
    "slurm/cluster.yaml].",
)
address_option: Callable[[click.decorators.FC], click.decorators.FC] = click.option(
    "--address",
    metavar="HOST:PORT",
    help="With --executor ray: the cluster [$RAY_ADDRESS, the profile's, one on this machine].",
)
site_data_option: Callable[[click.decorators.FC], click.decorators.FC] = click.option(
    "--data-root",
    metavar="DIR",
    help="Folder of the datasets [$ORCHESTRATE_DATA, the cluster profile's, ./data].",
)
max_gpu_hours_option: Callable[[click.decorators.FC], click.decorators.FC] = click.option(
    "--max-gpu-hours",
    metavar="HOURS",
    type=click.FloatRange(min=0),
    help="In place of the sweep's max_gpu_hours: spent and estimated, its jobs take no more.",
)
sweep_argument: Callable[[click.decorators.FC], click.decorators.FC] = click.argument(
    "sweep_file",
    metavar="SWEEP.yaml",
    type=click.Path(path_type=Path),
    shell_complete=completed_by(sweep_files),
)


def _integers(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise click.BadParameter(f"'{text}' is not a list of integers such as 0,1,2") from None


def say_which(jobs: str | None, where: str | None) -> None:
    """Refuse to take no word at all for every job that there is."""
    if jobs is None and where is None:
        raise click.UsageError("say which jobs are meant: SWEEP, JOB or --where EXPRESSION")


def agreed(question: str) -> bool:
    """Whether whoever sits there says yes; nobody there says no."""
    try:
        return click.confirm(question)
    except click.Abort:  # no terminal to answer at
        click.echo()
        return False
