"""The verbs that make, show and check datasets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.options import data_root_option
from orchestrator.cli.progress import bar
from orchestrator.errors import DataError
from orchestrator.jobs.files import is_temporary

if TYPE_CHECKING:
    from rich.table import Table

    from orchestrator.jobs.datasets import Manifest

JSON_SCHEMA = 1


@click.group()
def data() -> None:
    """Make, show and check datasets.

    \b
    orchestrate data prepare digits
    orchestrate data inspect digits
    """


@data.group()
def prepare() -> None:
    """Make a dataset: WebDataset tars, an index and a manifest.

    \b
    orchestrate data prepare digits
    orchestrate data prepare folder --source ~/flowers
    """


@prepare.command()
@click.option("--name", default="digits", show_default=True, help="Name of the dataset.")
@data_root_option
def digits(name: str, data_root: Path) -> None:
    """The 1,797 handwritten digits of scikit-learn; no network needed.

    A quarter of each class, the samples whose keys have the smallest sha256, is for validation.

    \b
    orchestrate data prepare digits
    orchestrate data prepare digits --data-root /scratch/data
    """
    from orchestrator.jobs.datasets import check_name
    from orchestrator.worker.data.digits import prepare_digits

    check_name(name)
    if (data_root / name).exists():
        click.echo(_already_there(data_root, name))
    else:
        _report(data_root, prepare_digits(data_root, name, track=bar("Digits")))


@prepare.command()
@click.option(
    "--source",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    required=True,
    help="Folder with train/CLASS and val/CLASS, or with CLASS, each full of images.",
)
@click.option("--name", help="Name of the dataset.  [default: that of the source folder]")
@click.option(
    "--skip-unreadable",
    is_flag=True,
    help="Leave out files that are not whole images, and list them in the manifest.",
)
@click.option(
    "--val-share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.1,
    show_default=True,
    help="Share of each class for validation, where the source has no folders train and val.",
)
@data_root_option
def folder(
    source: Path, name: str | None, data_root: Path, val_share: float, *, skip_unreadable: bool
) -> None:
    """Any folder of images with one folder per class.

    \b
    orchestrate data prepare folder --source ~/flowers --val-share 0.2
    orchestrate data prepare folder --source ~/scans --name s --skip-unreadable
    """
    from orchestrator.jobs.datasets import check_name
    from orchestrator.worker.data.folder import find_tree, prepare_folder

    name = name or source.resolve().name
    check_name(name)
    tree = find_tree(source, val_share)
    manifest = prepare_folder(
        data_root, name, tree, skip_unreadable=skip_unreadable, track=bar("Images")
    )
    _report(data_root, manifest)


@data.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@data_root_option
def inspect(name: str, data_root: Path, *, as_json: bool) -> None:
    """Show what is in a dataset.

    \b
    orchestrate data inspect digits
    """
    from orchestrator.jobs.datasets import load_manifest

    manifest = load_manifest(data_root, name)
    if as_json:
        plain = manifest.model_dump(mode="json", exclude={"schema_version"})
        click.echo(json.dumps({"schema": JSON_SCHEMA, **plain}))
        return
    from rich.console import Console

    console = Console(highlight=False)
    console.print(_table(manifest))
    for line in _facts(manifest):
        console.print(line, markup=False, soft_wrap=True)


@data.command()
@click.argument("name")
@data_root_option
def verify(name: str, data_root: Path) -> None:
    """Read every byte of a dataset and compare it with the manifest.

    \b
    orchestrate data verify digits
    """
    from orchestrator.jobs.datasets import load_manifest
    from orchestrator.worker.data.verify import find_faults

    manifest = load_manifest(data_root, name)
    faults = find_faults(data_root, manifest, track=bar("Shards"))
    if faults:
        lines = "\n  ".join(faults)
        raise DataError(
            f"Dataset '{name}' is damaged, {len(faults)} fault(s):\n  {lines}\n"
            f"Remove {data_root / name} and prepare it again."
        )
    click.echo(f"Dataset '{name}' is sound: {_size(manifest)}, content {manifest.content_hash}.")


def _already_there(data_root: Path, name: str) -> str:
    """Say that the digits need not be made again; refuse anything else of that name."""
    from orchestrator.jobs.datasets import check_shards, load_manifest
    from orchestrator.worker.data.digits import digits_hash

    manifest = load_manifest(data_root, name)
    check_shards(data_root, manifest)
    if manifest.content_hash != digits_hash():
        raise DataError(
            f"Dataset '{name}' under {data_root} is there, but it is not the digits (its source: "
            f"{manifest.source}). Remove {data_root / name}, or choose another --name."
        )
    return f"Dataset '{name}' is there already, whole and equal: {_size(manifest)}."


def _report(data_root: Path, manifest: Manifest) -> None:
    click.echo(f"Dataset '{manifest.name}' is in {data_root / manifest.name}: {_size(manifest)}.")
    if manifest.left_out:
        click.echo(
            f"{len(manifest.left_out)} unreadable file(s) were left out; they are listed by: "
            f"orchestrate data inspect {manifest.name} --data-root {data_root}"
        )
    for path in sorted(filter(is_temporary, data_root.iterdir())):
        click.echo(f"Remove {path} unless a preparation is running: an interrupted one left it.")


def _table(manifest: Manifest) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"Dataset {manifest.name}")
    table.add_column("class")
    for split in manifest.counts:
        table.add_column(split, justify="right")
    for row in zip(manifest.classes, *manifest.counts.values(), strict=True):
        table.add_row(escape(row[0]), *map(str, row[1:]))
    table.add_section()
    table.add_row("all", *(str(sum(counts)) for counts in manifest.counts.values()))
    return table


def _facts(manifest: Manifest) -> list[str]:
    sides = ("x".join(map(str, side)) for side in (manifest.smallest, manifest.largest))
    return [
        f"source        {manifest.source}",
        f"split         {manifest.split_rule}",
        f"pixels        {' to '.join(sides)}, {manifest.channels} channel(s)",
        *(f"shard         {s.file}: {s.samples} images, {s.bytes} bytes" for s in manifest.shards),
        f"content hash  {manifest.content_hash}",
        f"layout hash   {manifest.layout_hash}",
        *(f"left out      {line}" for line in manifest.left_out),
    ]


def _size(manifest: Manifest) -> str:
    images = ", ".join(f"{sum(n)} {split}" for split, n in manifest.counts.items())
    return f"{len(manifest.classes)} classes, {images} images"
