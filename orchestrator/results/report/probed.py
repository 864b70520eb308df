"""What the probes of an arm's runs left, read from their files for the page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.figures import Histogram
from model.figures.norms import MOST_EPOCHS, evenly
from orchestrator.errors import RootError
from orchestrator.jobs.arrays import unpacked
from orchestrator.jobs.facts import Attempt
from orchestrator.jobs.layout import Root
from orchestrator.jobs.probes import THUMBNAILS, probes_by_step, read_norms
from orchestrator.results.report.study import Inside

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAPS, MEANS, BELOW = "attention/cls_maps", "gates/by_head/mean", "gates/by_head/share_below"
THRESHOLDS, SPARSE = "gates/thresholds", 0.1
BATCH = "images/sha256"
EPOCH = "probe/epoch"


def read_inside(
    root: Root, jobs: Sequence[str], attempts: Mapping[str, Sequence[Attempt]]
) -> tuple[Inside, list[str]]:
    """What the probes of these jobs left, seeds of one arm, and which files are damaged.

    Norms are read at so many evenly chosen steps at which all of them were probed, and all else of
    the last probe of each.
    """
    faults: list[str] = []
    norms: dict[int, list[Histogram]] = {}
    last: list[Mapping[str, Any]] = []
    found = {job: probes_by_step(root.job(job).probes, attempts.get(job, ())) for job in jobs}
    probes = {job: steps for job, steps in found.items() if steps}
    shared = sorted(set.intersection(*map(set, probes.values()))) if probes else []
    for job, steps in probes.items():
        try:
            for step in evenly(shared, MOST_EPOCHS):
                told = read_norms(steps[step])
                if told is not None and told.epoch is not None:
                    norms.setdefault(told.epoch, []).append(told.histogram)
            last.append(_read_last(steps[max(steps)]))
        except RootError as error:
            faults.append(f"Probes of {job[:8]} are not in the figures: {error}")
    return _inside(norms, last), faults


def _read_last(path: Path) -> dict[str, Any]:
    names = (MAPS, THUMBNAILS, BATCH, MEANS, BELOW, THRESHOLDS, EPOCH)
    with unpacked(path) as arrays:
        return {name: arrays[name] for name in names if name in arrays.files}


def _inside(norms: Mapping[int, list[Histogram]], last: Sequence[Mapping[str, Any]]) -> Inside:
    mapped = next((one for one in last if MAPS in one), {})
    return Inside(
        seeds=len(last),
        epochs=sorted({int(one[EPOCH]) for one in last if EPOCH in one}),
        norms={epoch: _together(norms[epoch]) for epoch in sorted(norms)},
        maps=mapped.get(MAPS),
        images=mapped.get(THUMBNAILS),
        batch=str(mapped.get(BATCH, "")),
        gate_means=_mean([one[MEANS] for one in last if MEANS in one]),
        gate_sparsity=_mean([_sparsity(one) for one in last if BELOW in one]),
    )


def _together(histograms: Sequence[Histogram]) -> Histogram:
    import numpy as np

    counts = np.sum([one.counts for one in histograms], axis=0)
    return Histogram(counts=counts, edges=histograms[0].edges)


def _sparsity(arrays: Mapping[str, Any]) -> "NDArray[Any]":
    """The share of gates below 0.1 of each block and head."""
    import numpy as np

    place = int(np.abs(arrays[THRESHOLDS] - SPARSE).argmin())
    found: NDArray[Any] = arrays[BELOW][..., place]
    return found


def _mean(arrays: "Sequence[NDArray[Any]]") -> "NDArray[Any] | None":
    import numpy as np

    return np.asarray(np.mean(arrays, axis=0)) if arrays else None
