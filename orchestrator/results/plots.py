"""Pictures of results: the newest probe arrays of each group, drawn by ``model.figures``."""

from collections.abc import Sequence
from pathlib import Path

from model.figures import Histogram, norms_by_arm
from orchestrator.errors import RootError, SpecError
from orchestrator.jobs.gather import attempts_on
from orchestrator.jobs.layout import Root
from orchestrator.jobs.probes import probes_by_step, read_norms
from orchestrator.results.groups import Group, label

ENDINGS = (".png", ".pdf", ".svg")


def draw_norms(root: Root, groups: Sequence[Group], target: Path) -> list[str]:
    """Draw the patch norms before the final norm, a row per group, summed over its jobs.

    Of a job the last probe that counts is drawn; one that is damaged is left out, and told.

    Raises:
        SpecError: no job of the groups was probed yet, or the file's ending names no picture.
    """
    if target.suffix not in ENDINGS:
        raise SpecError(f"{target} is no picture by its name; end it in {', '.join(ENDINGS)}.")
    import numpy as np  # noqa: PLC0415 - a login node may lack it

    attempts = attempts_on(root, [job for group in groups for job in group.job_ids])
    histograms, faults = {}, []
    for group in groups:
        found = []
        for job in group.job_ids:
            probes = probes_by_step(root.job(job).probes, attempts[job])
            try:
                newest = [read_norms(path) for path in [*probes.values()][-1:]]
            except RootError as error:
                faults.append(f"{job[:8]} is not in the picture: {error}")
                continue
            found += [norms.histogram for norms in newest if norms is not None]
        if found:
            name = ", ".join(label(value) for value in group.axes.values()) or "all"
            counts = [each.counts for each in found]
            histograms[name] = Histogram(counts=np.sum(counts, axis=0), edges=found[0].edges)
    if not histograms:
        raise SpecError(" ".join(["No job was probed yet, so there is nothing to draw.", *faults]))
    target.parent.mkdir(parents=True, exist_ok=True)
    norms_by_arm(histograms).savefig(target)
    return faults
