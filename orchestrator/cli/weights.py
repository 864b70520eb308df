"""orchestrate weights JOB -o FILE"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli.candidates import completed_by, jobs
from orchestrator.cli.options import json_option, root_option

if TYPE_CHECKING:
    from orchestrator.config import Checkpoint
    from orchestrator.documents.site import WeightsDocument

NAMED: "dict[str, Checkpoint]" = {"last": "last", "best": "best"}


def _checkpoint(_: click.Context, __: click.Parameter, value: str) -> "Checkpoint":
    if value in NAMED:
        return NAMED[value]
    if not value.isdecimal() or int(value) == 0:
        raise click.BadParameter(f"{value!r} is not last, best, or an epoch from 1 on")
    return int(value)


@click.command()
@click.argument("job", metavar="JOB", shell_complete=completed_by(jobs))
@click.option(
    "-o",
    "--out",
    "file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="In the format of safetensors if it ends so, else of torch.save.",
)
@click.option(
    "--checkpoint",
    callback=_checkpoint,
    default="last",
    show_default=True,
    metavar="last|best|EPOCH",
    help="After the last step, of the best epoch, or after an epoch that was kept.",
)
@click.option("--timm", is_flag=True, help="Refuse what plain timm cannot load.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@json_option
@root_option
def weights(
    job: str,
    file: Path,
    checkpoint: "Checkpoint",
    timm: bool,
    force: bool,
    as_json: bool,
    root_path: Path,
) -> None:
    """Write a job's weights to a file, and say how to load it.

    They are a plain mapping of names to tensors, which timm's vision
    transformer takes as it is, but for architectures that timm does not have.

    \b
    orchestrate weights exp2/registers=4,seed=0 -o registers4.safetensors
    orchestrate weights 3f9c21ab -o best.pt --checkpoint best --timm
    """
    from model.exported import our_code, timm_arguments, timm_code
    from orchestrator.cli.render import print_json
    from orchestrator.controller.checkpoints import find_weights
    from orchestrator.errors import SpecError
    from orchestrator.jobs.files import publish

    if file.exists() and not file.is_file():  # a rename would put a file in a device's place
        raise SpecError(f"{file} is there and no file; name one")
    if file.exists() and not force:
        raise SpecError(f"{file} is there already; name another file, or replace it with --force")
    found = find_weights(root_path, job, checkpoint)
    model = found.config.model
    try:
        timm_arguments(model)
        plain, words, code = True, "plain timm", timm_code(model, str(file))
    except ValueError as error:
        if timm:
            raise SpecError(
                f"Plain timm cannot load the weights of {found.job.name}: {error}. Without --timm "
                "they are written for this program's own models."
            ) from None
        plain, words, code = False, f"this program, as {error}", our_code(model, str(file))
    from orchestrator.worker.pixels import CONSTANTS
    from orchestrator.worker.weights import Weights

    content = Weights.read(found.file.parent).exported(file.name)
    publish(file, content)
    mean, deviation = CONSTANTS[found.config.data.normalisation]
    if as_json:
        document: WeightsDocument = {
            "schema": 1,
            "file": str(file.absolute()),
            "job": found.job.id,
            "name": found.job.name,
            "step": found.step,
            "epoch": found.epoch,
            "plain_timm": plain,
            "code": code,
            "image": {"pixels": model.img_size, "mean": mean, "std": deviation},
        }
        print_json(document)
        return
    click.echo(f"{file}: {found.job.name} after epoch {found.epoch}. To load it with {words}:\n")
    click.echo("\n".join(code))
    click.echo(
        f"\nIt takes images of {model.img_size} x {model.img_size} pixels in [0, 1], less "
        f"{', '.join(map(str, mean))}, over {', '.join(map(str, deviation))}."
    )
