"""The verbs that show, check and adopt datasets, beside those that make them."""

from __future__ import annotations

from pathlib import Path

import click

from orchestrator.cli.candidates import completed_by, datasets
from orchestrator.cli.dataset_words import (
    facts,
    manifest_as_json,
    report,
    size,
    table,
    verified_as_json,
)
from orchestrator.cli.options import data_root_option, json_option
from orchestrator.cli.prepare import prepare, processes_option, skip_option
from orchestrator.cli.progress import bar
from orchestrator.cli.prose import say
from orchestrator.errors import DataError, SpecError


@click.group()
def data() -> None:
    """Make, adopt, show and check datasets.

    \b
    orchestrate data prepare digits
    orchestrate data adopt cars --train 'cars-{000..099}.tar' --val 'val-*.tar'
    orchestrate data inspect digits
    orchestrate data verify digits
    """


data.add_command(prepare)


@data.command()
@click.argument("name")
@click.option(
    "--train",
    multiple=True,
    metavar="PATTERN",
    help="Training tars, in order: with *, ? and {000..099}, in quotes, or URLs. May be repeated; "
    "left out for a set to evaluate on.",
)
@click.option(
    "--val", multiple=True, required=True, metavar="PATTERN", help="Validation tars, in order."
)
@click.option(
    "--image",
    multiple=True,
    metavar="FIELD",
    help="Field that holds the image. May be repeated.  [default: jpg, jpeg, png, webp]",
)
@click.option(
    "--label",
    default="cls",
    show_default=True,
    metavar="FIELD[:KEY]",
    help="Field that holds the label, a number or a class's name; json:KEY where it is in JSON.",
)
@click.option(
    "--classes",
    metavar="FILE|LIST",
    help="Names of the classes in the order of labels: a text file, one a line, or imagenet1k, "
    "imagenet100_kaggle, imagenet100_cmc, imagenet_a, imagenet_r.  [default: what is found]",
)
@skip_option
@processes_option
@json_option
@data_root_option
def adopt(
    name: str,
    train: tuple[str, ...],
    val: tuple[str, ...],
    image: tuple[str, ...],
    label: str,
    classes: str | None,
    processes: int | None,
    data_root: Path,
    *,
    skip_unreadable: bool,
    as_json: bool,
) -> None:
    """Use WebDataset tars of another tool where they lie.

    An index and a manifest are made beside links to the tars, which must stay where they are and as
    they are; every image is decoded once. Jobs read them as ours: in an exact order, resumed
    exactly. Tars must be uncompressed files. A member is KEY.FIELD, in any case; keys may
    have dots and folders; other fields are passed over.

    Tars may be URLs (http://, https://, pipe:COMMAND, which is run by a shell): all are read once
    now, those for validation are kept, and training streams the others, in an order that is
    shuffled in a buffer only and that a resumed job does not take up exactly.

    \b
    orchestrate data adopt cars --train 'cars-{000..099}.tar' --val 'val-*.tar'
    orchestrate data adopt birds --val 'birds/*.tar' --label json:class_id
    orchestrate data adopt far --train 'https://host/t-{0..9}.tar' --val v.tar
    """
    from orchestrator.jobs.datasets import Members, check_name
    from orchestrator.worker.data.adopt import Adoption, find_tars
    from orchestrator.worker.data.adopt import adopt as adopt_tars
    from orchestrator.worker.data.packing import Packing

    check_name(name)
    field, _, within = label.partition(":")
    members = Members(label=field, within=within or None)
    if image:
        members = members.model_copy(update={"image": list(image)})
    names, label_space = _named_classes(classes)
    adoption = Adoption(
        name=name,
        source=" ".join((*train, *val)),
        tars={"train": find_tars(train), "val": find_tars(val)},
        members=members,
        classes=names,
        label_space=label_space,
    )
    options = Packing(skip_unreadable=skip_unreadable, processes=processes, track=bar("Tars"))
    report(data_root, adopt_tars(data_root, adoption, options), plain=as_json)


@data.command()
@click.argument("name", shell_complete=completed_by(datasets))
@json_option
@data_root_option
def inspect(name: str, data_root: Path, *, as_json: bool) -> None:
    """Show what is in a dataset.

    \b
    orchestrate data inspect digits
    """
    from orchestrator.jobs.datasets import load_manifest

    manifest = load_manifest(data_root, name)
    if as_json:
        from orchestrator.cli.render import print_json

        print_json(manifest_as_json(manifest))
        return
    from orchestrator.cli.render import show

    show(table(manifest))
    for line in facts(manifest):
        say(line)


@data.command()
@click.argument("name", shell_complete=completed_by(datasets))
@click.option("--decode", is_flag=True, help="Decode every image, too, and name those that fail.")
@processes_option
@json_option
@data_root_option
def verify(
    name: str, data_root: Path, processes: int | None, *, decode: bool, as_json: bool
) -> None:
    """Read every byte of a dataset and compare it with the manifest. Nothing is written.

    \b
    orchestrate data verify digits
    orchestrate data verify imagenet100 --decode
    """
    from orchestrator.jobs.datasets import load_manifest
    from orchestrator.worker.data.verify import find_corrupt, find_faults

    manifest = load_manifest(data_root, name)
    faults = find_faults(data_root, manifest, track=bar("Shards"))
    corrupt: list[str] = []
    if decode and not faults:
        corrupt = find_corrupt(data_root, manifest, processes, track=bar("Shards"))
    if as_json:
        from orchestrator.cli.render import print_json

        print_json(verified_as_json(manifest, faults, corrupt))
    if faults:
        lines = "\n  ".join(faults)
        raise DataError(
            f"Dataset '{name}' is damaged, {len(faults)} fault(s):\n  {lines}\n"
            f"Remove {data_root / name} and prepare it again."
        )
    if corrupt:
        lines = "\n  ".join(corrupt)
        raise DataError(
            f"Dataset '{name}' is as its manifest says, but {len(corrupt)} image(s) do not decode:"
            f"\n  {lines}\nPrepare it again without them; or train in spite of those for training "
            f"with data.corrupt: skip and data.max_corrupt: {len(corrupt)}."
        )
    if not as_json:
        say(f"Dataset '{name}' is sound: {size(manifest)}, content {manifest.content_hash}.")


def _named_classes(classes: str | None) -> tuple[tuple[str, ...] | None, str | None]:
    """The class names that an option asks for, and the label space's name if they are one."""
    from orchestrator.worker.data.label_spaces import LABEL_SPACES

    if classes is None:
        return None, None
    if classes in LABEL_SPACES:
        return LABEL_SPACES[classes], classes
    try:
        names = tuple(Path(classes).expanduser().read_text().split("\n"))
    except (OSError, ValueError) as error:
        raise SpecError(
            f"--classes {classes} is neither one of {', '.join(LABEL_SPACES)} nor a text file that "
            f"can be read ({error}). Give a file with a class's name a line."
        ) from None
    names = tuple(name.strip() for name in names if name.strip())
    if len(set(names)) != len(names) or not names:
        raise SpecError(f"{classes} has {len(names)} classes, {len(set(names))} of them different.")
    return names, None
