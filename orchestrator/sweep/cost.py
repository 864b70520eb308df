"""What the arms of a sweep cost, from their configurations alone."""

from dataclasses import asdict, dataclass
from typing import Any

from model.config import ViTConfig
from model.flops import count_macs, count_params, count_training_macs, vanilla
from model.variants import variant_named
from orchestrator.config import Placement, RunConfig
from orchestrator.sweep.expand import Point, Sweep

FLOAT, MOMENTS = 4, 2
"""Bytes of a parameter, and of each of the optimiser's moments of it."""
STATES = 3
"""The newest two checkpoints, and one that is being written."""


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

    def to_plain(self) -> dict[str, Any]:
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
    """The sweep's distinct architectures, each named by the first point that has it."""
    first: dict[ViTConfig, Point] = {}
    for point in sweep.points:
        first.setdefault(point.config.model, point)
    baseline = count_macs(next(iter(first))) if first else 0
    return [_arm(point, baseline) for point in first.values()]


def _arm(point: Point, baseline: int) -> Arm:
    model = point.config.model
    macs = count_macs(model)
    return Arm(
        name=point.name.removesuffix(f"seed={point.config.seed}").rstrip(",") or "base",
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

    ``peak``: while it runs, all epochs that are kept and its checkpoints. ``after_gc``: weights.
    """

    state: int
    weights: int
    peak: int
    after_gc: int


def disk_of(config: RunConfig, placement: Placement) -> Disk:
    """What a job's checkpoints take on disk, but for some hundred bytes around each tensor."""
    weights = FLOAT * count_params(config.model)
    averages = config.train.ema_decay is not None
    state = (1 + MOMENTS + averages) * weights
    kept = len({*placement.keep_epochs} | {config.train.epochs}) * weights
    return Disk(state, weights, peak=STATES * state + kept, after_gc=kept)
