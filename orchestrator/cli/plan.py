"""orchestrate plan SWEEP.yaml"""

from pathlib import Path

import click

from orchestrator.cli.options import (
    address_option,
    cluster_option,
    executor_option,
    json_option,
    max_gpu_hours_option,
    root_option,
    seeds_option,
    set_option,
    site_data_option,
    sweep_argument,
    where_option,
)
from orchestrator.cli.prose import say


@click.command()
@sweep_argument
@executor_option
@cluster_option
@address_option
@set_option
@seeds_option
@where_option
@site_data_option
@click.option("--script", is_flag=True, help="Show what would be submitted for each shape of job.")
@click.option(
    "--images",
    type=click.IntRange(min=1),
    metavar="N",
    help="Suppose that a dataset which is not here yet has so many training images.",
)
@max_gpu_hours_option
@json_option
@root_option
def plan(
    sweep_file: Path,
    executor: str | None,
    cluster_file: str | None,
    address: str | None,
    overrides: tuple[str, ...],
    seeds: list[int] | None,
    where: str | None,
    data_root: str | None,
    script: bool,
    images: int | None,
    max_gpu_hours: float | None,
    as_json: bool,
    root_path: Path,
) -> None:
    """What a launch would do and cost, and when it would be done; writes nothing.

    Hours come from jobs like it that ran here, else from its operations at an
    assumed rate, else from its time limit; the table says which.

    \b
    orchestrate plan sweeps/quickstart.yaml
    orchestrate plan sweeps/exp2_registers.yaml --executor slurm --script
    orchestrate plan sweeps/exp2_registers.yaml --max-gpu-hours 500
    orchestrate plan sweeps/exp1_vanilla.yaml --executor local --images 130000
    orchestrate plan sweeps/exp2_registers.yaml --where 'state == "FAILED"'
    """
    from orchestrator.cli.plan_page import show_plan
    from orchestrator.cli.render import print_json
    from orchestrator.controller import plan as controller
    from orchestrator.controller.loading import load
    from orchestrator.controller.planned import as_json as document
    from orchestrator.controller.where import points_meant

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
    sweep = points_meant(loaded.sweep, root_path, where)
    planned = controller.plan(
        sweep,
        root_path=root_path,
        data_root=loaded.data_root,
        cluster=loaded.cluster,
        ray=loaded.ray,
        images=images,
    )
    if as_json:
        print_json(document(planned))
    else:
        if where is not None:
            count, total = len(sweep.points), len(loaded.sweep.points)
            say(f"Of {count} of its {total} points alone, for which --where holds:")
        show_plan(planned, script=script)
    for name in planned.supposed:
        say(
            f"note: dataset {name} is not there; it is supposed to have {images:,} images", err=True
        )
    for note in controller.check_plan(planned, max_gpu_hours):
        say(f"note: {note}", err=True)
