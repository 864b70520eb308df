"""orchestrate plan SWEEP.yaml"""

from pathlib import Path

import click

from orchestrator.cli.options import (
    cluster_option,
    executor_option,
    json_option,
    root_option,
    seeds_option,
    set_option,
    site_data_option,
    sweep_argument,
)


@click.command()
@sweep_argument
@executor_option
@cluster_option
@set_option
@seeds_option
@site_data_option
@click.option("--script", is_flag=True, help="Show what would be submitted for each shape of job.")
@json_option
@root_option
def plan(
    sweep_file: Path,
    executor: str | None,
    cluster_file: str | None,
    overrides: tuple[str, ...],
    seeds: list[int] | None,
    data_root: str | None,
    script: bool,
    as_json: bool,
    root_path: Path,
) -> None:
    """What a launch would do, and the disk that checkpoints need; nothing is written.

    \b
    orchestrate plan sweeps/quickstart.yaml
    orchestrate plan sweeps/exp2_registers.yaml --executor slurm --script
    """
    from orchestrator.cli.render import print_json, size
    from orchestrator.controller import plan as controller
    from orchestrator.executors import CLUSTERED, EXECUTORS
    from orchestrator.jobs.store import locate_data
    from orchestrator.sweep.load import load_sweep
    from orchestrator.sweep.profile import load_profile, locate_profile

    sweep = load_sweep(
        sweep_file, overrides=overrides, seeds=seeds, executor=executor, executors=EXECUTORS
    )
    path = locate_profile(cluster_file) if sweep.executor in CLUSTERED else None
    profile = load_profile(path) if path else None
    data = locate_data(data_root, profile.data_root if profile else None)
    planned = controller.plan(sweep, root_path=root_path, data_root=data, cluster=profile)
    if as_json:
        print_json(controller.as_json(sweep, planned))
        return
    click.echo(f"{sweep.name}: a launch would submit {planned.due} of {len(sweep.points)} jobs")
    for state, count in planned.counts.items():
        click.echo(f"  {count} {state}")
    for shape in planned.shapes:
        click.echo(f"{shape.jobs} to be submitted alike, such as {shape.example}")
        if script:
            click.echo(shape.script)
    if not planned.disk_peak:
        return
    click.echo(
        f"Checkpoints take up to {size(planned.disk_peak)}, and {size(planned.disk_after_gc)} once "
        f"all is done and orchestrate gc was called; {size(planned.disk_free)} are free there."
    )
    if planned.disk_peak > planned.disk_free:
        click.echo("warning: that is more than is free; choose another --root", err=True)
