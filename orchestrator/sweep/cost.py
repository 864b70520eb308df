"""What the arms of a sweep cost, from their configurations alone."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

from model.config import ViTConfig
from model.flops import (
    count_macs,
    count_params,
    count_training_flops,
    count_training_macs,
    vanilla,
)
from model.variants import variant_named
from orchestrator.config import JobConfig, Placement, RunConfig
from orchestrator.documents.launches import (
    FlopsArm,
    FlopsConditions,
    FlopsDocument,
    FlopsTime,
)
from orchestrator.errors import SpecError
from orchestrator.jobs.datasets import Manifest
from orchestrator.sweep.expand import Point, Sweep

FLOAT, MOMENTS = 4, 2
"""Bytes of a parameter, and of each of the optimiser's moments of it."""
STATES = 3
"""The newest two checkpoints, and one that is being written."""
BEST = 3
"""The best weights, those that they beat since the last checkpoint, and some being written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One architecture of a sweep, and what an image costs in it.

    ``training_macs`` are those of a forward and a backward pass; ``relative_to_vanilla`` is the
    ratio of ``forward_macs`` to those of vanilla of its own sizes, ``mlp_ratio`` among them;
    ``relative_to_first`` to those of the sweep's first arm, one baseline for all. MACs are not
    time: see `model.flops` for what they leave out.
    """

    name: str
    model: ViTConfig
    params: int
    forward_macs: int
    relative_to_vanilla: float
    relative_to_first: float
    training_macs: int

    def to_plain(self) -> FlopsArm:
        """As ``flops --json`` prints it."""
        return {
            "name": self.name,
            "config": asdict(self.model),
            "params": self.params,
            "forward_macs": self.forward_macs,
            "relative_to_vanilla": self.relative_to_vanilla,
            "relative_to_first": self.relative_to_first,
            "training_macs": self.training_macs,
            "attention": variant_named(self.model.attention).description,
        }


def arms_of(sweep: Sweep) -> list[Arm]:
    """The sweep's distinct architectures, each named by the first point that has it.

    Raises:
        SpecError: it is of models that no job of ours trains, which are not counted.
    """
    first: dict[ViTConfig, Point] = {}
    for point in sweep.points:
        if point.trained is not None:
            first.setdefault(point.trained.model, point)
    if not first:
        raise SpecError(
            f"Sweep '{sweep.name}' is of models that were trained elsewhere; costs are those of "
            "models that sweeps train. Name a sweep that does."
        )
    baseline = count_macs(next(iter(first)))
    return [_arm(model, point, baseline) for model, point in first.items()]


def as_json(
    arms: Sequence[Arm],
    times: Sequence[Mapping[str, Any]] = (),
    conditions: Mapping[str, Any] | None = None,
) -> FlopsDocument:
    """The documented form of ``flops --json``; with what was measured of each arm, if it was."""
    plain = [arm.to_plain() for arm in arms]
    for arm, time in zip(plain, times, strict=bool(times)):
        arm["time"] = cast("FlopsTime", time)
    document: FlopsDocument = {"schema": 1, "arms": plain}
    if conditions is not None:
        document["conditions"] = cast("FlopsConditions", conditions)
    return document


def _arm(model: ViTConfig, point: Point, baseline: int) -> Arm:
    macs, seed = count_macs(model), point.trained.seed if point.trained else None
    return Arm(
        name=point.name.removesuffix(f"seed={seed}").rstrip(",") or "base",
        model=model,
        params=count_params(model),
        forward_macs=macs,
        relative_to_vanilla=macs / count_macs(vanilla(model)),
        relative_to_first=macs / baseline,
        training_macs=count_training_macs(model),
    )


@dataclass(frozen=True, slots=True)
class Disk:
    """Bytes of one checkpoint and one file of weights, and what a job needs at most, and for good.

    ``peak``: while it runs, all epochs that are kept, the best one and its checkpoints.
    ``after_gc``: weights.
    """

    state: int
    weights: int
    peak: int
    after_gc: int


NOTHING = Disk(0, 0, peak=0, after_gc=0)
"""What a job needs that trains nothing."""


def disk_of(config: JobConfig, placement: Placement) -> Disk:
    """What a job's checkpoints take on disk, but for some hundred bytes around each tensor."""
    if not isinstance(config, RunConfig):
        return NOTHING
    weights = FLOAT * count_params(config.model)
    averages = config.train.ema_decay is not None
    state = (1 + MOMENTS + averages) * weights
    kept = len({*placement.keep_epochs} | {config.train.epochs}) * weights
    peak = STATES * state + BEST * weights + kept
    return Disk(state, weights, peak=peak, after_gc=weights + kept)


def epoch_images(config: RunConfig, manifest: Manifest) -> int:
    """Images of one epoch, but for those that repeated augmentation leaves out."""
    images = manifest.images("train")
    return images - images % config.train.batch_size if config.train.tail == "drop" else images


def training_flops(config: RunConfig, manifest: Manifest) -> float:
    """Floating-point operations of the whole training, without evaluation and probes."""
    each = count_training_flops(config.model)
    return config.train.epochs * epoch_images(config, manifest) * each


def decoded_bytes(manifest: Manifest, px: int) -> int:
    """What images decoded at ``px`` take on a node, were all of them 4:3 and as large as that.

    A manifest knows no more of shapes; the worker counts before it decodes.
    """
    shorter = min(px, *manifest.largest)
    return round(manifest.images("train") * manifest.channels * shorter * shorter * 4 / 3)
