"""What is checked before a launch creates anything: the sweep against its data and its place."""

import sys
from collections.abc import Mapping
from pathlib import Path

from model.config import ViTConfig
from orchestrator.config import AnalyzeConfig, EvaluateConfig, RunConfig, refuse_on_cluster
from orchestrator.controller.submit import Due, Terms, draft
from orchestrator.errors import SpecError
from orchestrator.executors import CLUSTERED, executor_named
from orchestrator.executors.slurm import NO_PROFILE
from orchestrator.jobs.datasets import (
    Manifest,
    Shard,
    check_shards,
    load_manifest,
    misfit,
)
from orchestrator.jobs.layout import Root
from orchestrator.sweep.expand import Point, Sweep


def check_data(
    sweep: Sweep, data_root: Path, supposed: int | None = None
) -> tuple[dict[str, Manifest], list[str]]:
    """The manifests of the sweep's datasets, after every point was held against its own.

    With ``supposed`` a dataset that is not there is taken to have so many training images and to
    fit the first point that names it; the names of those come second.
    """
    models = {
        name: point.trained.model if point.trained else None
        for point in reversed(sweep.points)
        for name in _datasets(point)
    }
    manifests, missing = dict[str, Manifest](), list[str]()
    for name, model in sorted(models.items()):
        if supposed is not None and not (data_root / name).exists():
            manifests[name] = _supposed(name, model, supposed)
            missing.append(name)
        else:
            manifests[name] = load_manifest(data_root, name)
            check_shards(data_root, manifests[name])
    for point in sweep.points:
        fault = _misfit(point, manifests)
        if fault:
            raise SpecError(f"Point '{point.name}' of sweep '{sweep.name}' {fault}")
    return manifests, missing


def _datasets(point: Point) -> list[str]:
    """The names of those that it reads, its own last; an analysis needs none of its parent's."""
    if isinstance(point.config, EvaluateConfig) and point.trained:
        return [point.trained.data.name, point.config.data.name]
    return [point.config.data.name]


def _supposed(name: str, model: ViTConfig | None, images: int) -> Manifest:
    """What a manifest would say of a dataset that is not there: so many images, as a model asks."""
    classes = model.num_classes if model else 1
    each = [images // classes + (label < images % classes) for label in range(classes)]
    shard = Shard(file="", split="train", samples=images, bytes=0, sha256="")
    return Manifest(
        name=name,
        source="supposed",
        split_rule="",
        classes=[str(label) for label in range(classes)],
        channels=3 if model is None or model.in_chans == 3 else 1,
        smallest=[0, 0],
        largest=[sys.maxsize, sys.maxsize],
        counts={"train": each, "val": [0] * classes},
        shards=[shard],
        left_out=[],
        content_hash="",
        layout_hash="",
    )


def check_profile(sweep: Sweep, terms: Terms) -> None:
    """Hold each shape of job against the cluster's profile, if it is for one; asks nobody.

    Raises:
        SpecError: there is no profile, or by it the cluster could never run a job.
    """
    if sweep.executor not in CLUSTERED:
        return
    shapes = {Due.of(point).shape: point for point in reversed(sweep.points)}
    for point in shapes.values():
        refusals = [NO_PROFILE]
        if terms.cluster is not None:
            refusals = refuse_on_cluster(terms.cluster, point.resources, point.placement)
        if refusals:
            raise SpecError(f"Point '{point.name}' of sweep '{sweep.name}': {'; '.join(refusals)}")


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


def _misfit(point: Point, manifests: Mapping[str, Manifest]) -> str | None:
    """What of a point does not fit its dataset, or its parent's."""
    trained, manifest = point.trained, manifests[point.config.data.name]
    if isinstance(point.config, AnalyzeConfig):
        return _unseen(manifest, trained)
    assert trained is not None  # only an analysis is of models that were trained elsewhere
    training = manifests[trained.data.name]
    if manifest is not training and (fault := misfit(manifest, training)):
        return f"cannot be evaluated: {fault}"
    model, train = trained.model, trained.train
    manifest = training
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


def _unseen(manifest: Manifest, trained: RunConfig | None) -> str | None:
    """Why a model cannot be shown a dataset's images; models of timm's take them in colour."""
    if trained is None or trained.model.in_chans == manifest.channels:
        return None
    return (
        f"cannot be analysed: Dataset '{manifest.name}' has images of {manifest.channels} "
        f"channel(s), and its model takes {trained.model.in_chans}."
    )
