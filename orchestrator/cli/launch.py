"""orchestrate launch SWEEP.yaml"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.options import (
    cluster_option,
    every_option,
    executor_option,
    root_option,
    seeds_option,
    set_option,
    site_data_option,
    sweep_argument,
)

if TYPE_CHECKING:
    from orchestrator.sweep.expand import Sweep

CONTROLLER_S = 60


@click.command()
@sweep_argument
@executor_option
@click.option("--wait", is_flag=True, help="Watch until everything has ended; exit 3 on failures.")
@click.option("--controller", is_flag=True, help="Let a small job on the cluster watch instead.")
@click.option("--canary", is_flag=True, help="Let one job of each shape take steps first.")
@click.option(
    "--fresh",
    "afresh",
    multiple=True,
    metavar="all|older|POINT",
    help="Discard what these jobs measured, and run them anew; older: those of other code.",
)
@click.option("--yes", is_flag=True, help="Do not ask before anything is discarded.")
@every_option
@cluster_option
@set_option
@seeds_option
@site_data_option
@root_option
def launch(
    sweep_file: Path,
    executor: str | None,
    wait: bool,
    controller: bool,
    canary: bool,
    afresh: tuple[str, ...],
    yes: bool,
    every: float | None,
    cluster_file: str | None,
    overrides: tuple[str, ...],
    seeds: list[int] | None,
    data_root: str | None,
    root_path: Path,
) -> None:
    """Run what SWEEP.yaml asks for and is not done yet; what is done or running is left alone.

    \b
    orchestrate launch sweeps/quickstart.yaml
    orchestrate launch sweeps/quickstart.yaml --wait --seeds 0
    orchestrate launch sweeps/quickstart.yaml --set optim.lr=3e-3
    orchestrate launch sweeps/exp2_registers.yaml --executor slurm --controller
    orchestrate launch sweeps/exp2_registers.yaml --canary --wait
    orchestrate launch sweeps/quickstart.yaml --fresh older
    """
    from orchestrator.cli.main import INTERRUPTED
    from orchestrator.cli.report import report_launch
    from orchestrator.controller.launch import Wishes
    from orchestrator.controller.launch import launch as run
    from orchestrator.executors import CLUSTERED, EXECUTORS
    from orchestrator.jobs.store import locate_data
    from orchestrator.sweep.load import load_sweep
    from orchestrator.sweep.profile import load_profile, locate_profile

    sweep = load_sweep(
        sweep_file, overrides=overrides, seeds=seeds, executor=executor, executors=EXECUTORS
    )
    if controller and sweep.executor not in CLUSTERED:
        raise click.UsageError(f"--controller needs a cluster; executor is {sweep.executor}")
    path = locate_profile(cluster_file) if sweep.executor in CLUSTERED else None
    profile = load_profile(path) if path else None
    data = locate_data(data_root, profile.data_root if profile else None)
    fresh = _agreed_to_discard(sweep, root_path, afresh, yes=yes) if afresh else []
    every_s = int(every or CONTROLLER_S) if controller else None
    wishes = Wishes(controller_s=every_s, fresh=fresh, canary=canary)
    launched = run(sweep, root_path=root_path, data_root=data, cluster=profile, wishes=wishes)
    report_launch(sweep, launched, tended=wait or controller, canary=canary)
    if launched.controller:
        click.echo(launched.controller)
    if not wait:
        return
    from orchestrator.cli.wait import FAILED_JOBS, wait_for

    try:
        failed = wait_for(launched.root, [sweep.name], every)
    except KeyboardInterrupt:
        click.echo(f"\nNo longer watching; the jobs run on. See: orchestrate status {sweep.name}")
        sys.exit(INTERRUPTED)
    if failed:
        sys.exit(FAILED_JOBS)


def _agreed_to_discard(
    sweep: "Sweep", root_path: Path, words: tuple[str, ...], *, yes: bool
) -> list[str]:
    """Ids of the jobs that begin afresh, once the user has seen which."""
    from orchestrator.cli.options import agreed
    from orchestrator.controller.afresh import to_begin_afresh

    names = to_begin_afresh(sweep, root_path, words)
    if not names:
        click.echo("Nothing to discard: no job meant by that has measured or saved anything.")
        return []
    click.echo(f"{len(names)} of {len(sweep.points)} begin afresh: {', '.join(names.values())}")
    if not yes and not agreed("Discard what they measured and saved?"):
        click.echo("Nothing was discarded or launched (--yes discards without asking).")
        sys.exit(1)
    return list(names)
