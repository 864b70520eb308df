"""What a probe found, as a folder for people and programs: findings, arrays, figures, a page."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from model.figures import (
    FIGURES,
    OVER_EPOCHS,
    Histogram,
    Probed,
    norms_over_epochs,
    png,
)
from orchestrator.documents.probes import ProbeDocument
from orchestrator.errors import RootError, SpecError
from orchestrator.jobs.facts import Attempt
from orchestrator.jobs.files import discard, publishing_folder, set_aside
from orchestrator.jobs.journal import plain_metrics
from orchestrator.jobs.layout import JobFolder
from orchestrator.jobs.probes import probes_by_step, read_norms
from orchestrator.results.probe_page import Shown, page

if TYPE_CHECKING:
    from numpy.typing import NDArray

FINDINGS, ARRAYS, PAGE = "findings.json", "arrays.npz", "index.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that a report is made of.

    Attributes:
        name: of the model, for people.
        facts: of model, images, conditions and versions, as JSON takes them.
        scalars: by metric name.
        arrays: by the names under which the probes leave them.
        images: those of the maps, uint8 ``(n, C, H, W)``.
        history: the last block's patch norms at the epochs that were probed in training.
        warnings: what of all that could not be read, in sentences.
    """

    name: str
    facts: Mapping[str, Any]
    scalars: Mapping[str, float]
    arrays: "Mapping[str, NDArray[Any]]"
    images: "NDArray[Any]"
    history: Mapping[int, Histogram]
    warnings: Sequence[str] = ()

    def document(self) -> ProbeDocument:
        """The content of ``findings.json``; scalars that are not finite are strings."""
        scalars = dict(sorted(plain_metrics(self.scalars).items()))
        told = {"schema": 1, "name": self.name, **self.facts, "scalars": scalars}
        return cast("ProbeDocument", {**told, "warnings": list(self.warnings)})


def check_target(target: Path, *, replace: bool) -> None:
    """Make sure that a report may be written to this folder.

    Raises:
        SpecError: something is there, and may not be replaced, or is no report.
    """
    if not target.exists():
        return
    if not (target / FINDINGS).is_file():
        raise SpecError(f"{target} is there and is no report of a probe. Choose another --out.")
    if not replace:
        raise SpecError(
            f"{target} is there already. Look at it, choose another --out, or replace it with "
            "--force."
        )


def write_report(report: Report, target: Path, *, replace: bool) -> None:
    """Publish the report, whole, as a new folder.

    Raises:
        SpecError: as `check_target`.
    """
    import numpy as np  # noqa: PLC0415 - a login node may lack it

    drawn = draw(report)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **report.arrays)  # type: ignore[arg-type]
    document = report.document()
    target = target.absolute()
    with publishing_folder(target) as folder:
        text = json.dumps(document, indent=1, allow_nan=False)
        (folder / FINDINGS).write_text(text + "\n")
        (folder / ARRAYS).write_bytes(buffer.getvalue())
        for one in drawn:
            (folder / f"{one.name}.png").write_bytes(one.png)
        shapes = {name: array.shape for name, array in sorted(report.arrays.items())}
        (folder / PAGE).write_text(page(document, drawn, shapes))
        check_target(target, replace=replace)
        former = set_aside(target) if target.exists() else None
    if former:
        discard(former)


def draw(report: Report) -> list[Shown]:
    """Every figure that applies to the model, and with several epochs in the past theirs."""
    probed = Probed(arrays=report.arrays, images=report.images)
    drawn = []
    for name, row in FIGURES.items():
        if figure := row.draw(probed):
            drawn.append(Shown(name=name, title=row.title, caption=row.caption, png=png(figure)))
    if len(report.history) > 1:
        picture = png(norms_over_epochs(report.history))
        title = "Norms of patch tokens over epochs"
        drawn.append(Shown(name="norms_over_epochs", title=title, caption=OVER_EPOCHS, png=picture))
    return drawn


def norm_history(
    job: JobFolder, attempts: Sequence[Attempt], *, until: int
) -> tuple[dict[int, Histogram], list[str]]:
    """The last block's patch norms at each epoch whose probe counts, up to a step; what is damaged.

    Probes of programs that did not record their epoch are passed over.
    """
    found: dict[int, Histogram] = {}
    faults = []
    for step, path in probes_by_step(job.probes, attempts).items():
        if step > until:
            break
        try:
            norms = read_norms(path)
        except RootError as error:
            faults.append(f"An epoch is missing from the norms over epochs: {error}")
            continue
        if norms is not None and norms.epoch is not None:
            found[norms.epoch] = norms.histogram
    return found, faults
