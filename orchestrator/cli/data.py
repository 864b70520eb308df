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
    from collections.abc import Iterator

    from rich.table import Table

    from orchestrator.jobs.datasets import Manifest

JSON_SCHEMA = 1


@click.group()
def data() -> None:
    """Make, show and check datasets.

    \b
    orchestrate data prepare digits
    orchestrate data inspect digits
    orchestrate data verify digits
    """


@data.group()
def prepare() -> None:
    """Make a dataset: WebDataset tars, an index and a manifest.

    \b
    orchestrate data prepare digits
    orchestrate data prepare folder --source ~/flowers
    orchestrate data prepare imagenet100 --source ~/imagenet100 --classes kaggle

    Large sets are packed by one process for each processor. A preparation that was killed goes on
    where it was when the same command is given again, to the same bytes. Nothing is asked, so it
    can be a job of a cluster:

    \b
    sbatch --cpus-per-task 16 --mem 16G --time 1:00:00 --wrap \
      "orchestrate data prepare imagenet100 --source DIR --classes kaggle"
    """


source_option = click.option(
    "--source",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    required=True,
    metavar="DIR",
    help="Folder with the images.",
)
skip_option = click.option(
    "--skip-unreadable",
    is_flag=True,
    help="Leave out files that are not whole images, and list them in the manifest.",
)
processes_option = click.option(
    "--processes",
    type=click.IntRange(min=1),
    help="Processes that decode and pack.  [default: one for each processor]",
)
any_counts_option = click.option(
    "--any-counts", is_flag=True, help="Take as many images as there are, not the official number."
)


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
@source_option
@click.option("--name", help="Name of the dataset.  [default: that of the source folder]")
@skip_option
@processes_option
@click.option(
    "--val-share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.1,
    show_default=True,
    help="Share of each class for validation, where the source has no folders train and val.",
)
@data_root_option
def folder(
    source: Path,
    name: str | None,
    data_root: Path,
    val_share: float,
    processes: int | None,
    *,
    skip_unreadable: bool,
) -> None:
    """Any folder of images with one folder per class.

    DIR has train/CLASS and val/CLASS, or CLASS, each full of images.

    \b
    orchestrate data prepare folder --source ~/flowers --val-share 0.2
    orchestrate data prepare folder --source ~/scans --name s --skip-unreadable
    """
    from orchestrator.jobs.datasets import check_name
    from orchestrator.worker.data.folder import find_tree, prepare_folder
    from orchestrator.worker.data.packing import Packing

    name = name or source.resolve().name
    check_name(name)
    tree = find_tree(source, val_share)
    options = Packing(skip_unreadable=skip_unreadable, processes=processes, track=bar("Shards"))
    manifest = prepare_folder(data_root, name, tree, options)
    _report(data_root, manifest)


@prepare.command()
@source_option
@click.option(
    "--classes",
    type=click.Choice(["kaggle", "cmc"]),
    required=True,
    help="Which of the two lists of that name: that of Kaggle's ambityga/imagenet100 (130,000 "
    "training images), or that of CMC (126,689). They share 8 classes.",
)
@click.option("--name", default="imagenet100", show_default=True, help="Name of the dataset.")
@skip_option
@any_counts_option
@processes_option
@data_root_option
def imagenet100(
    source: Path,
    classes: str,
    name: str,
    data_root: Path,
    processes: int | None,
    *,
    skip_unreadable: bool,
    any_counts: bool,
) -> None:
    """ImageNet-100, from ImageNet's folders or from Kaggle's.

    DIR has train/WNID and val/WNID, or train.X1/WNID to train.X4/WNID and val.X/WNID. Labels are
    places among the sorted WordNet ids. Folders of other classes are passed over and counted.

    \b
    orchestrate data prepare imagenet100 --source ~/imagenet100 --classes kaggle
    orchestrate data prepare imagenet100 --source /datasets/imagenet --classes cmc --name in100_cmc
    """
    _prepare_imagenet(
        (source, data_root, name, f"imagenet100_{classes}"),
        processes,
        skip_unreadable=skip_unreadable,
        any_counts=any_counts,
    )


@prepare.command("imagenet_a")
@source_option
@click.option("--name", default="imagenet_a", show_default=True, help="Name of the dataset.")
@skip_option
@any_counts_option
@processes_option
@data_root_option
def imagenet_a(
    source: Path,
    name: str,
    data_root: Path,
    processes: int | None,
    *,
    skip_unreadable: bool,
    any_counts: bool,
) -> None:
    """ImageNet-A, 7,500 images of 200 classes to evaluate on.

    DIR has WNID, each full of images, as the published archive does.

    \b
    orchestrate data prepare imagenet_a --source ~/imagenet-a
    """
    _prepare_imagenet(
        (source, data_root, name, "imagenet_a"),
        processes,
        skip_unreadable=skip_unreadable,
        any_counts=any_counts,
    )


@prepare.command("imagenet_r")
@source_option
@click.option("--name", default="imagenet_r", show_default=True, help="Name of the dataset.")
@skip_option
@any_counts_option
@processes_option
@data_root_option
def imagenet_r(
    source: Path,
    name: str,
    data_root: Path,
    processes: int | None,
    *,
    skip_unreadable: bool,
    any_counts: bool,
) -> None:
    """ImageNet-R, 30,000 renditions of 200 classes to evaluate on.

    DIR has WNID, each full of images, as the published archive does.

    \b
    orchestrate data prepare imagenet_r --source ~/imagenet-r
    """
    _prepare_imagenet(
        (source, data_root, name, "imagenet_r"),
        processes,
        skip_unreadable=skip_unreadable,
        any_counts=any_counts,
    )


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


def _prepare_imagenet(
    what: tuple[Path, Path, str, str],
    processes: int | None,
    *,
    skip_unreadable: bool,
    any_counts: bool,
) -> None:
    """``what``: the source, the data root, the dataset's name, and that of the collection."""
    from dataclasses import replace

    from orchestrator.jobs.datasets import check_name
    from orchestrator.worker.data.imagenet import COLLECTIONS, find_imagenet, prepare_imagenet
    from orchestrator.worker.data.packing import Packing

    source, data_root, name, known = what
    check_name(name)
    collection = COLLECTIONS[known]
    if any_counts:
        collection = replace(collection, expected=None)
    found = find_imagenet(source, collection)
    options = Packing(skip_unreadable=skip_unreadable, processes=processes, track=bar("Shards"))
    _report(data_root, prepare_imagenet(data_root, name, collection, found, options))


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
    if manifest.passed_over:
        click.echo(
            f"{len(manifest.passed_over)} class(es) with {sum(manifest.passed_over.values())} "
            f"image(s) are not of {manifest.label_space}; they were passed over."
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
        *_label_facts(manifest),
        *(f"left out      {line}" for line in manifest.left_out),
    ]


def _label_facts(manifest: Manifest) -> Iterator[str]:
    if manifest.label_space:
        yield f"label space   {manifest.label_space}"
    if manifest.classes_sha256:
        yield f"classes hash  {manifest.classes_sha256}"
    if manifest.passed_over:
        images = sum(manifest.passed_over.values())
        yield f"passed over   {len(manifest.passed_over)} other class(es), {images} image(s)"


def _size(manifest: Manifest) -> str:
    images = ", ".join(f"{sum(n)} {split}" for split, n in manifest.counts.items())
    return f"{len(manifest.classes)} classes, {images} images"
