"""What is checked before a launch creates anything: the sweep against its data and its place."""

from pathlib import Path

from orchestrator.controller.submit import Due, Terms, draft
from orchestrator.errors import SpecError
from orchestrator.executors import executor_named
from orchestrator.jobs.datasets import Manifest, check_shards, load_manifest
from orchestrator.jobs.layout import Root
from orchestrator.sweep.expand import Point, Sweep


def check_data(sweep: Sweep, data_root: Path) -> dict[str, Manifest]:
    """The manifests of the sweep's datasets, after every point was held against its own."""
    names = {point.config.data.name for point in sweep.points}
    manifests = {name: load_manifest(data_root, name) for name in sorted(names)}
    for manifest in manifests.values():
        check_shards(data_root, manifest)
    for point in sweep.points:
        fault = _misfit(point, manifests[point.config.data.name])
        if fault:
            raise SpecError(f"Point '{point.name}' of sweep '{sweep.name}' {fault}")
    return manifests


def check_placements(sweep: Sweep, terms: Terms, root_path: Path) -> None:
    """Ask the place about each shape of job.

    Raises:
        SpecError: it would refuse one.
    """
    dues = [Due.of(point) for point in sweep.points]
    shapes = {one.shape: one for one in reversed(dues)}
    executor = executor_named(sweep.executor, Root(root_path))
    for one in shapes.values():
        refusals = executor.check(draft([one], terms, snapshot=""))
        if refusals:
            raise SpecError(f"Point '{one.name}' of sweep '{sweep.name}': {'; '.join(refusals)}")


def _misfit(point: Point, manifest: Manifest) -> str | None:
    """What of a point does not fit its dataset."""
    model, train = point.config.model, point.config.train
    facts = (
        ("model.num_classes", model.num_classes, len(manifest.classes), "classes"),
        ("model.in_chans", model.in_chans, manifest.channels, "channel(s)"),
    )
    for key, asked, there, what in facts:
        if asked != there:
            return (
                f"has {key} {asked}, but dataset '{manifest.name}' has {there} {what}. "
                f"Set {key}: {there} in the sweep."
            )
    images = manifest.images("train")
    if train.tail == "drop" and images < train.batch_size:
        return (
            f"drops the tail of each epoch, but train.batch_size {train.batch_size} is more than "
            f"the {images} training images of '{manifest.name}': no step is left."
        )
    return None
