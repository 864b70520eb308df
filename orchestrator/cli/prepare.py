"""The verbs that make datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from orchestrator.cli.dataset_words import report, size
from orchestrator.cli.options import data_root_option
from orchestrator.cli.progress import bar
from orchestrator.errors import DataError


@click.group()
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
        report(data_root, prepare_digits(data_root, name, track=bar("Digits")))


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
    report(data_root, manifest)


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
        processes=processes,
        skip_unreadable=skip_unreadable,
        any_counts=any_counts,
    )


EVALUATED_ON = {
    "imagenet_a": ("ImageNet-A, 7,500 images of 200 classes", "imagenet-a"),
    "imagenet_r": ("ImageNet-R, 30,000 renditions of 200 classes", "imagenet-r"),
}
"""Sets without a training split: what each is, and how people call its folder."""


def _verb_of(name: str) -> click.Command:
    """The verb that prepares a set of `EVALUATED_ON`."""
    what, folder = EVALUATED_ON[name]

    def verb(dataset: str, source: Path, data_root: Path, **options: Any) -> None:
        _prepare_imagenet((source, data_root, dataset, name), **options)

    verb.__doc__ = f"""{what} to evaluate on.

    DIR has WNID, each full of images, as the published archive does.

    \b
    orchestrate data prepare {name} --source ~/{folder}
    """
    called = click.option(
        "--name", "dataset", default=name, show_default=True, help="Name of the dataset."
    )
    options = (called, skip_option, any_counts_option, processes_option, data_root_option)
    for option in reversed((source_option, *options)):
        verb = option(verb)
    return click.command(name)(verb)


for _name in EVALUATED_ON:
    prepare.add_command(_verb_of(_name))


def _prepare_imagenet(
    what: tuple[Path, Path, str, str],
    *,
    processes: int | None,
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
    report(data_root, prepare_imagenet(data_root, name, collection, found, options))


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
    return f"Dataset '{name}' is there already, whole and equal: {size(manifest)}."
