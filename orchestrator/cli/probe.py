"""orchestrate probe CHECKPOINT|timm:NAME"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.candidates import completed_by, jobs
from orchestrator.cli.options import data_root_option, json_option, root_option

if TYPE_CHECKING:
    from model.figures import Histogram
    from orchestrator.controller.checkpoints import Checkpoint
    from orchestrator.worker.probing.specimen import Specimen

TIMM = "timm:"


@click.command()
@click.argument("model", metavar="CHECKPOINT|timm:NAME", shell_complete=completed_by(jobs))
@click.option(
    "--images",
    "place",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of images, flat or one folder a class, or a prepared dataset [a job's own].",
)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="New folder [./probe-NAME]."
)
@click.option("--force", is_flag=True, help="Replace an earlier report there.")
@click.option("--count", type=click.IntRange(min=1), default=1000, show_default=True)
@click.option("--batch", type=click.IntRange(min=1), default=32, show_default=True)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), help="[a GPU if there is one].")
@click.option(
    "--weights",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="Of a timm model: PyTorch or safetensors, as timm, DeiT and others save.",
)
@click.option("--untrained", is_flag=True, help="Of a timm model: random weights, no network.")
@json_option
@root_option
@data_root_option
def probe(
    model: str,
    place: Path | None,
    out: Path | None,
    force: bool,
    count: int,
    batch: int,
    device: str | None,
    weights: Path | None,
    untrained: bool,
    as_json: bool,
    root_path: Path,
    data_root: Path,
) -> None:
    """Look inside any checkpoint: norms, attention, gates; a page of figures.

    CHECKPOINT is a job's name, the beginning of its id, or a file or folder
    of weights under a run root. timm:NAME is a vision transformer of timm
    with the weights of its hub or cache, unless --weights or --untrained.
    Each sees images by its own evaluation transform.

    The new folder holds findings.json, arrays.npz, every figure as PNG, and
    index.html, which needs no other file and no network.

    \b
    orchestrate probe quickstart/vanilla
    orchestrate probe timm:deit3_small_patch16_224.fb_in1k --images ~/val
    orchestrate probe timm:deit3_small_patch16_224 --weights x.pth --images d
    """
    from orchestrator.cli.progress import bar
    from orchestrator.cli.render import print_json
    from orchestrator.controller.own_code import load_own_code
    from orchestrator.results.probe_report import Report, check_target, write_report

    name, checkpoint = _named(model, root_path, weights=weights, untrained=untrained)
    target = out or Path(f"probe-{re.sub(r'[^A-Za-z0-9._-]+', '-', name)}")
    place = _images(place, checkpoint, data_root)
    from orchestrator.worker.probing.images import choose_images
    from orchestrator.worker.probing.run import run

    images = choose_images(place, count)
    check_target(target, replace=force)
    told = {**checkpoint.to_plain(), **load_own_code(checkpoint)} if checkpoint else {}
    specimen = _specimen(model, checkpoint, weights=weights, untrained=untrained)
    found = run(specimen, images, batch=batch, device=device, track=bar("Images"))
    history, warnings = _history(checkpoint)
    report = Report(
        name=name,
        facts={"model": {**told, **specimen.facts}, **found.facts},
        scalars=found.findings.scalars,
        arrays=found.findings.arrays,
        images=found.images,
        history=history,
        warnings=warnings,
    )
    write_report(report, target, replace=force)
    if as_json:
        print_json({**report.document(), "out": str(target.absolute())})
    else:
        _show(report.scalars)
        for warning in warnings:
            click.echo(f"warning: {warning}", err=True)
        click.echo(f"Report: {target.absolute() / 'index.html'}")


def _named(
    model: str, root_path: Path, *, weights: Path | None, untrained: bool
) -> "tuple[str, Checkpoint | None]":
    """What the report calls the model; the checkpoint, if it is one of ours."""
    from orchestrator.controller.checkpoints import find_checkpoint

    if model.startswith(TIMM):
        if weights and untrained:
            raise click.UsageError("--weights and --untrained exclude each other.")
        suffix = f"-{weights.stem}" if weights else "-untrained" if untrained else ""
        return model.removeprefix(TIMM) + suffix, None
    if weights or untrained:
        raise click.UsageError("--weights and --untrained go with timm:NAME.")
    found = find_checkpoint(root_path, model)
    return f"{found.job.name}-{found.job.id[:8]}-step{found.step}", found


def _images(place: Path | None, checkpoint: "Checkpoint | None", data_root: Path) -> Path:
    if place is not None:
        return place
    if checkpoint is None:
        raise click.UsageError("timm:NAME needs --images DIR.")
    return data_root / checkpoint.config.data.name


def _specimen(
    model: str, checkpoint: "Checkpoint | None", *, weights: Path | None, untrained: bool
) -> "Specimen":
    if checkpoint is not None:
        from orchestrator.worker.probing.specimen import our_specimen

        config = checkpoint.config
        return our_specimen(config.model, checkpoint.file, config.data.normalisation)
    from orchestrator.errors import WeightsError
    from orchestrator.worker.probing.zoo import timm_specimen

    name = model.removeprefix(TIMM)
    try:
        return timm_specimen(name, weights=weights, untrained=untrained)
    except WeightsError as error:
        ways = "Or give a file with --weights, or look at random ones with --untrained."
        raise WeightsError(f"{error} {ways}") from None


def _history(checkpoint: "Checkpoint | None") -> "tuple[dict[int, Histogram], list[str]]":
    """The norms at the epochs before, and what of them is damaged."""
    from orchestrator.results.probe_report import norm_history

    if checkpoint is None:
        return {}, []
    return norm_history(checkpoint.folder, checkpoint.attempts, until=checkpoint.step)


def _show(scalars: Any) -> None:
    from orchestrator.cli.render import number, show
    from orchestrator.cli.tables import table

    rows = ((name, number(value)) for name, value in sorted(scalars.items()))
    show(table(["metric", "value"], rows, right=["value"]))
