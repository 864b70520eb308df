"""orchestrate flops SWEEP.yaml"""

from pathlib import Path

import click

from orchestrator.cli.options import json_option, seeds_option, set_option, sweep_argument


@click.command()
@sweep_argument
@set_option
@seeds_option
@json_option
def flops(
    sweep_file: Path,
    overrides: tuple[str, ...],
    seeds: list[int] | None,
    as_json: bool,
) -> None:
    """Parameters and multiply-accumulates of every arm, before anything runs.

    One MAC is one fused multiply-add; LayerNorm, softmax and additions are not counted.

    \b
    orchestrate flops sweeps/quickstart.yaml
    """
    from orchestrator.cli.render import print_json, show, table
    from orchestrator.executors import EXECUTORS
    from orchestrator.sweep.cost import arms_of
    from orchestrator.sweep.load import load_sweep

    sweep = load_sweep(sweep_file, overrides=overrides, seeds=seeds, executors=EXECUTORS)
    arms = arms_of(sweep)
    if as_json:
        print_json({"schema": 1, "arms": [arm.to_plain() for arm in arms]})
        return
    columns = ["arm", "parameters", "forward MACs", "to vanilla"]
    rows = (
        (a.name, f"{a.params:,}", f"{a.forward_macs:,}", f"{a.relative_to_vanilla - 1:+.2%}")
        for a in arms
    )
    show(table(columns, rows, right=columns[1:]))
