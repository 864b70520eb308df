"""Pictures of results: the newest probe arrays of each group, drawn by ``model.figures``."""

from collections.abc import Sequence
from pathlib import Path

from model.figures import Histogram, norms_by_arm
from orchestrator.errors import SpecError
from orchestrator.jobs.layout import Root
from orchestrator.jobs.probes import probes_by_step
from orchestrator.results.frame import Group, label

ENDINGS = (".png", ".pdf", ".svg")


def draw_norms(root: Root, groups: Sequence[Group], target: Path) -> None:
    """Draw the patch norms before the final norm, a row per group, summed over its jobs.

    Raises:
        SpecError: no job of the groups was probed yet, or the file's ending names no picture.
    """
    if target.suffix not in ENDINGS:
        raise SpecError(f"{target} is no picture by its name; end it in {', '.join(ENDINGS)}.")
    import numpy as np  # noqa: PLC0415 - a login node may lack it

    histograms = {}
    for group in groups:
        probed = [path for job in group.job_ids if (path := newest_probe(root, job))]
        if not probed:
            continue
        name = ", ".join(label(value) for value in group.axes.values()) or "all"
        arrays = [np.load(path, allow_pickle=False) for path in probed]
        counts = sum(each["norms/by_block/histogram"][-1] for each in arrays)
        histograms[name] = Histogram(counts=counts, edges=arrays[0]["norms/histogram_edges"])
    if not histograms:
        raise SpecError("No job was probed yet, so there is nothing to draw.")
    target.parent.mkdir(parents=True, exist_ok=True)
    norms_by_arm(histograms).savefig(target)


def newest_probe(root: Root, job: str) -> Path | None:
    """The arrays of a job's last probe: of the highest step, and there of the last attempt."""
    found = probes_by_step(root.job(job).probes)
    return found[max(found)] if found else None
