"""The verbs that make datasets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.dataset_words import report, size
from orchestrator.cli.options import data_root_option, json_option
from orchestrator.cli.progress import bar
from orchestrator.errors import DataError

if TYPE_CHECKING:
    from orchestrator.jobs.datasets import Manifest


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
    sbatch --cpus-per-task 16 --mem 16G --time 1:00:00 \\
      --wrap "orchestrate data prepare folder --source DIR"
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
@click.option(
    "--images",
    type=click.Choice(["all", "hard", "moved"]),
    default="all",
    show_default=True,
    help="hard: only the held-out ones that the nearest class mean mistakes; moved: the held-out "
    "ones, moved by a pixel.",
)
@click.option("--name", help="Name of the dataset.  [default: digits, digits_hard, digits_moved]")
@json_option
@data_root_option
def digits(images: str, name: str | None, data_root: Path, *, as_json: bool) -> None:
    """The 1,797 handwritten digits of scikit-learn; no network needed.

    A quarter of each class, the samples whose keys have the smallest sha256, is for validation.

    \b
    orchestrate data prepare digits
    orchestrate data prepare digits --images hard
    """
    from orchestrator.jobs.datasets import check_name
    from orchestrator.worker.data.digits import prepare_digits

    name = name or ("digits" if images == "all" else f"digits_{images}")
    check_name(name)
    if not (data_root / name).exists():
        manifest = prepare_digits(data_root, name, images=images, track=bar("Digits"))
        report(data_root, manifest, plain=as_json)
        return
    manifest = _already_there(data_root, name, images)
    if as_json:
        report(data_root, manifest, plain=True)
    else:
        click.echo(f"Dataset '{name}' is there already, whole and equal: {size(manifest)}.")


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
@json_option
@data_root_option
def folder(
    source: Path,
    name: str | None,
    data_root: Path,
    val_share: float,
    processes: int | None,
    *,
    skip_unreadable: bool,
    as_json: bool,
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
    report(data_root, manifest, plain=as_json)


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
@json_option
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
    as_json: bool,
) -> None:
    """ImageNet-100, from ImageNet's folders or from Kaggle's.

    DIR has train/WNID and val/WNID, or train.X1/WNID to train.X4/WNID and val.X/WNID. Labels are
    places among the sorted WordNet ids. Folders of other classes are passed over and counted.

    \b
    orchestrate data prepare imagenet100 --source ~/imagenet100 --classes kaggle
    orchestrate data prepare imagenet100 --source ~/imagenet --classes cmc
    """
    _prepare_imagenet(
        (source, data_root, name, f"imagenet100_{classes}"),
        processes=processes,
        skip_unreadable=skip_unreadable,
        any_counts=any_counts,
        as_json=as_json,
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
    packing = (skip_option, any_counts_option, processes_option)
    options = (called, *packing, json_option, data_root_option)
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
    as_json: bool,
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
    manifest = prepare_imagenet(data_root, name, collection, found, options)
    report(data_root, manifest, plain=as_json)


def _already_there(data_root: Path, name: str, images: str) -> Manifest:
    """The digits that need not be made again; anything else of that name is refused."""
    from orchestrator.jobs.datasets import check_shards, load_manifest
    from orchestrator.worker.data.digits import digits_hash

    manifest = load_manifest(data_root, name)
    check_shards(data_root, manifest)
    if manifest.content_hash != digits_hash(images):
        raise DataError(
            f"Dataset '{name}' under {data_root} is there, but it is not these digits (its source: "
            f"{manifest.source}). Remove {data_root / name}, or choose another --name."
        )
    return manifest
