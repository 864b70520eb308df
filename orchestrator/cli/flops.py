"""orchestrate flops SWEEP.yaml"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.options import json_option, seeds_option, set_option, sweep_argument

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.sweep.cost import Arm
    from orchestrator.worker.timing import Conditions, Spread, Timed

MACS_ARE_NOT_TIME = "MACs are not time; to measure it on this machine: --time"


@click.command()
@sweep_argument
@set_option
@seeds_option
@click.option("--time", "timed", is_flag=True, help="Measure time here, and GPU memory (torch).")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), help="Where [a GPU if there is one].")
@click.option(
    "--batch", type=click.IntRange(min=1), help="Images at once [8 on a CPU, 128 on a GPU]."
)
@click.option(
    "--repeats", type=click.IntRange(min=1), default=10, show_default=True, help="Rounds of --time."
)
@click.option("--precision", type=click.Choice(["fp32", "bf16"]), default="fp32", show_default=True)
@json_option
def flops(
    sweep_file: Path,
    overrides: tuple[str, ...],
    seeds: list[int] | None,
    timed: bool,
    device: str | None,
    batch: int | None,
    repeats: int,
    precision: Any,
    as_json: bool,
) -> None:
    """Parameters and multiply-accumulates of every arm, before anything runs.

    One MAC is one multiply-add of a matrix product or convolution, for one
    image. LayerNorm, softmax, sigmoids and elementwise products count nothing,
    though they move memory: MACs are not time. By MACs, in ViT-S/16 at 224
    pixels, an elementwise gate (+7.58 %) costs as much as 13 to 14 registers
    (four: +2.17 %), a headwise one (+0.12 %) a fifth of one register.

    --time runs every arm here, a forward pass and a forward and backward pass
    in each round, all arms in turn, and compares with vanilla of the same
    round: medians, in brackets the quartiles. Neither has optimiser, data
    loading and drop path in it; another device, batch or precision gives
    other ratios.

    \b
    orchestrate flops sweeps/quickstart.yaml
    orchestrate flops sweeps/quickstart.yaml --time --batch 64
    """
    from orchestrator.cli.render import print_json
    from orchestrator.executors import EXECUTORS
    from orchestrator.sweep.cost import arms_of
    from orchestrator.sweep.cost import as_json as plain
    from orchestrator.sweep.load import load_sweep

    arms = arms_of(load_sweep(sweep_file, overrides=overrides, seeds=seeds, executors=EXECUTORS))
    if not timed:
        if as_json:
            print_json(plain(arms))
        else:
            _show(arms)
            click.echo(MACS_ARE_NOT_TIME)
        return
    from orchestrator.cli.progress import bar
    from orchestrator.worker.timing import Conditions, time_arms

    conditions = Conditions.here(device=device, batch=batch, repeats=repeats, precision=precision)
    times = time_arms([arm.model for arm in arms], conditions, track=bar("Rounds"))
    if as_json:
        print_json(plain(arms, [time.to_plain() for time in times], conditions.to_plain()))
    else:
        _show_timed(arms, times, conditions)


def _show(arms: "Sequence[Arm]") -> None:
    from orchestrator.cli.render import show
    from orchestrator.cli.tables import table

    columns = ["arm", "parameters", "forward MACs", "to vanilla", "to first", "fwd+bwd MACs"]
    rows = (
        (
            *(a.name, f"{a.params:,}", f"{a.forward_macs:,}"),
            *(_change(a.relative_to_vanilla), _change(a.relative_to_first)),
            f"{a.training_macs:,}",
        )
        for a in arms
    )
    show(table(columns, rows, right=columns[1:]))
    for line in _legend(arms):
        click.echo(line)


def _legend(arms: "Sequence[Arm]") -> "Iterator[str]":
    """What attention variants are, and with which vanilla an arm is compared."""
    from model.variants import variant_named

    for name in dict.fromkeys(arm.model.attention for arm in arms):
        if name != "softmax":
            yield f"{name}: {variant_named(name).description}"
    if len({arm.model.mlp_ratio for arm in arms}) > 1:
        yield (
            "Arms differ in mlp_ratio: 'to vanilla' is to vanilla of the arm's own mlp_ratio, "
            f"'to first' to {arms[0].name}."
        )


def _show_timed(arms: "Sequence[Arm]", times: "Sequence[Timed]", conditions: "Conditions") -> None:
    from orchestrator.cli.render import show, size
    from orchestrator.cli.tables import table

    _show(arms)
    click.echo()
    # a table tells its columns apart by name
    columns = ["arm", "forward ms", "to vanilla", "fwd+bwd ms", "to vanilla ", "peak memory"]
    rows = (
        (
            *(arm.name, f"{1e3 * time.forward_s.median:.4g}", _ratio(time.forward_ratio)),
            *(f"{1e3 * time.training_s.median:.4g}", _ratio(time.training_ratio)),
            size(time.peak_bytes) if time.peak_bytes else "-",
        )
        for arm, time in zip(arms, times, strict=True)
    )
    show(table(columns, rows, right=columns[1:]))
    click.echo(f"Times are per image, medians [and quartiles]: {conditions}.")


def _change(ratio: float) -> str:
    return f"{ratio - 1:+.2%}"


def _ratio(spread: "Spread") -> str:
    return f"{spread.median:.3f} [{spread.low:.3f}, {spread.high:.3f}]"
