"""orchestrate launch SWEEP.yaml"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.options import (
    address_option,
    cluster_option,
    every_option,
    executor_option,
    json_option,
    max_gpu_hours_option,
    root_option,
    seeds_option,
    set_option,
    site_data_option,
    sweep_argument,
)
from orchestrator.cli.prose import say

if TYPE_CHECKING:
    from orchestrator.jobs.layout import Root
    from orchestrator.sweep.expand import Sweep


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
    help="Discard what these jobs measured, run them anew; older: those of older code or weights.",
)
@click.option("--deterministic", is_flag=True, help="Train with placement.deterministic.")
@click.option("--yes", is_flag=True, help="Do not ask before anything is discarded.")
@max_gpu_hours_option
@every_option
@cluster_option
@address_option
@set_option
@seeds_option
@site_data_option
@json_option
@root_option
def launch(
    sweep_file: Path,
    executor: str | None,
    wait: bool,
    controller: bool,
    canary: bool,
    afresh: tuple[str, ...],
    deterministic: bool,
    yes: bool,
    max_gpu_hours: float | None,
    every: float | None,
    cluster_file: str | None,
    address: str | None,
    overrides: tuple[str, ...],
    seeds: list[int] | None,
    data_root: str | None,
    as_json: bool,
    root_path: Path,
) -> None:
    """Run what SWEEP.yaml asks for and is not done yet; what is done or running is left alone.

    --json tells of the launch: it does not go with --wait, and asks nothing.

    \b
    orchestrate launch sweeps/quickstart.yaml
    orchestrate launch sweeps/quickstart.yaml --wait --seeds 0
    orchestrate launch sweeps/quickstart.yaml --set optim.lr=3e-3
    orchestrate launch sweeps/exp2_registers.yaml --executor slurm --controller
    orchestrate launch sweeps/quickstart.yaml --executor ray --address node1:6379
    orchestrate launch sweeps/exp2_registers.yaml --canary --wait
    orchestrate launch sweeps/quickstart.yaml --fresh older
    """
    from orchestrator.cli.launched import report_launch
    from orchestrator.cli.render import print_json
    from orchestrator.controller import launched as told
    from orchestrator.controller.launch import Wishes
    from orchestrator.controller.launch import launch as run
    from orchestrator.controller.loading import load

    if as_json and wait:
        raise click.UsageError("--json does not go with --wait; see: orchestrate watch")
    if as_json and afresh and not yes:
        raise click.UsageError("--json asks nothing: say --yes to what --fresh discards")
    loaded = load(
        sweep_file,
        root_path=root_path,
        overrides=overrides,
        seeds=seeds,
        executor=executor,
        cluster_file=cluster_file,
        address=address,
        data_root=data_root,
    )
    sweep = loaded.sweep
    fresh = _agreed_to_discard(sweep, root_path, afresh, yes=yes, aside=as_json) if afresh else []
    wishes = Wishes(
        controller=controller,
        every_s=every,
        fresh=fresh,
        canary=canary,
        deterministic=deterministic,
        max_gpu_hours=max_gpu_hours,
    )
    launched = run(
        sweep,
        root_path=root_path,
        data_root=loaded.data_root,
        cluster=loaded.cluster,
        ray=loaded.ray,
        wishes=wishes,
    )
    if as_json:
        print_json(told.as_json(sweep, launched))
        return
    report_launch(sweep, launched, tended=wait or controller, canary=canary)
    if launched.controller:
        say(launched.controller)
    if wait:
        _wait_for(launched.root, sweep.name, every)


def _wait_for(root: "Root", sweep: str, every: float | None) -> None:
    """Watch until all has ended; the exit code says how."""
    from orchestrator.cli.main import INTERRUPTED
    from orchestrator.cli.wait import FAILED_JOBS, wait_for

    try:
        failed = wait_for(root, [sweep], every)
    except KeyboardInterrupt:
        say(f"\nNo longer watching; the jobs run on. See: orchestrate status {sweep}")
        sys.exit(INTERRUPTED)
    if failed:
        sys.exit(FAILED_JOBS)


def _agreed_to_discard(
    sweep: "Sweep", root_path: Path, words: tuple[str, ...], *, yes: bool, aside: bool
) -> list[str]:
    """Ids of the jobs that begin afresh, once the user has seen which; ``aside``: as errors are."""
    from orchestrator.cli.options import agreed
    from orchestrator.controller.afresh import to_begin_afresh

    names = to_begin_afresh(sweep, root_path, words)
    if not names:
        nothing = "Nothing to discard: no job meant by that has measured or saved anything."
        say(nothing, err=aside)
        return []
    told = f"{len(names)} of {len(sweep.points)} begin afresh: {', '.join(names.values())}"
    say(told, err=aside)
    if not yes and not agreed("Discard what they measured and saved?"):
        say("Nothing was discarded or launched (--yes discards without asking).")
        sys.exit(1)
    return list(names)
