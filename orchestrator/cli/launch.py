"""orchestrate launch SWEEP.yaml"""

import sys
from pathlib import Path

import click

from orchestrator.cli.options import (
    data_root_option,
    root_option,
    seeds_option,
    set_option,
    sweep_argument,
)

FAILED_JOBS = 3


@click.command()
@sweep_argument
@click.option("--executor", metavar="NAME", help="Where to run, in place of the sweep's executor.")
@click.option("--wait", is_flag=True, help="Watch until everything has ended; exit 3 on failures.")
@set_option
@seeds_option
@data_root_option
@root_option
def launch(
    sweep_file: Path,
    executor: str | None,
    wait: bool,
    overrides: tuple[str, ...],
    seeds: list[int] | None,
    data_root: Path,
    root_path: Path,
) -> None:
    """Run what SWEEP.yaml asks for and is not done yet; what is done or running is left alone.

    \b
    orchestrate launch sweeps/quickstart.yaml
    orchestrate launch sweeps/quickstart.yaml --wait --seeds 0
    orchestrate launch sweeps/quickstart.yaml --set optim.lr=3e-3
    """
    from orchestrator.cli.main import INTERRUPTED
    from orchestrator.cli.report import report_launch
    from orchestrator.cli.wait import wait_for
    from orchestrator.controller.launch import launch as run
    from orchestrator.executors import EXECUTORS
    from orchestrator.sweep.load import load_sweep

    sweep = load_sweep(
        sweep_file, overrides=overrides, seeds=seeds, executor=executor, executors=EXECUTORS
    )
    launched = run(sweep, root_path=root_path, data_root=data_root)
    report_launch(sweep, launched)
    if not wait:
        return
    try:
        failed = wait_for(launched.root, sweep.name)
    except KeyboardInterrupt:
        click.echo(f"\nNo longer watching; the jobs run on. See: orchestrate status {sweep.name}")
        sys.exit(INTERRUPTED)
    if failed:
        sys.exit(FAILED_JOBS)
