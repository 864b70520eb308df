"""The analysis probes: every probe, its pictures, and what the rule of one probe says."""

from dataclasses import dataclass

from torch import Tensor

from model.emergence import artifacts, undecided
from model.probes.base import MAP_IMAGES, Array, Findings
from model.probes.suite import measure
from orchestrator.errors import DataError
from orchestrator.jobs.arrays import packed
from orchestrator.jobs.probes import look_in
from orchestrator.worker.analysis.subjects import Subject
from orchestrator.worker.data.helpers import Helpers
from orchestrator.worker.data.images import SplitImages
from orchestrator.worker.data.index import probe_positions
from orchestrator.worker.measure import PROBE_BATCH, findings_of, probe_batch
from orchestrator.worker.passes import Series, in_order
from orchestrator.worker.pictures import drawn
from orchestrator.worker.stop import StopFlag, Stopped


@dataclass(frozen=True, slots=True)
class Means:
    """What an analysis works with, beside the model.

    Attributes:
        images: the validation split that is looked at.
        count: so many of its images at most, or as many as the subject says.
        micro_batch: of a pass, of one rank, at most.
    """

    images: SplitImages
    count: int | None
    micro_batch: int | None
    helpers: Helpers
    stop: StopFlag


@dataclass(frozen=True, slots=True)
class Analysed:
    """What an analysis found: metrics, and the content of the file that it leaves."""

    metrics: dict[str, float]
    file: bytes


def probes(subject: Subject, means: Means) -> Analysed | None:
    """What the probes find; None on all ranks but the first.

    Raises:
        DataError: there are no images.
        SpecError: the model is of a kind that cannot be looked into.
        Stopped: the ranks were asked to stop and agreed.
    """
    index = means.images.index
    positions = probe_positions(index, means.count or subject.images)
    if not len(positions):
        raise DataError(f"Dataset '{index.dataset}' has no validation images to look at.")
    batch = min(PROBE_BATCH, means.micro_batch or PROBE_BATCH)
    series = Series(means.images, positions, batch, means.helpers)

    def look(pixels: Tensor, _: Tensor) -> dict[str, Tensor]:
        asked = subject.ranks.any(means.stop.raised())  # collective: ranks take as many passes
        if any(asked):
            raise Stopped(asked)
        return measure(subject.model, pixels)

    mine = subject.share(series, look)
    joined = in_order(subject.ranks, mine, len(positions))
    found = findings_of(subject.model, joined, subject.blank)
    if found is None:
        return None
    epoch = subject.origin.epoch
    found |= Findings(arrays=probe_batch(index, positions, epoch))
    pictures = drawn(lambda: _first(subject, means, positions), found, epoch)
    return Analysed({**found.scalars, **_ruled(found)}, packed(found.arrays | pictures))


def _first(subject: Subject, means: Means, positions: Array) -> Array:
    """The images of which there are maps."""
    return subject.shown(means.images, positions[:MAP_IMAGES])


def _ruled(found: Findings) -> dict[str, float]:
    """What the rule says; where it says nothing, the log tells why."""
    look = look_in(found.arrays)
    if why := undecided(look):
        print(f"whether there are artifacts is not to be told: {why}")
    return artifacts(look)
