"""What the arms of a sweep cost, from their configurations alone."""

from dataclasses import asdict, dataclass
from typing import Any

from model.config import ViTConfig
from model.flops import count_macs, count_params, vanilla
from orchestrator.config import Placement, RunConfig
from orchestrator.sweep.expand import Point, Sweep

FLOAT, MOMENTS = 4, 2
"""Bytes of a parameter, and of each of AdamW's moments of it."""
STATES = 3
"""The newest two checkpoints, and one that is being written."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One architecture of a sweep; ``relative_to_vanilla`` is a ratio of MACs."""

    name: str
    config: dict[str, Any]
    params: int
    forward_macs: int
    relative_to_vanilla: float

    def to_plain(self) -> dict[str, Any]:
        """As ``flops --json`` prints it."""
        return asdict(self)


def arms_of(sweep: Sweep) -> list[Arm]:
    """The sweep's distinct architectures, each named by the first point that has it."""
    first: dict[ViTConfig, Point] = {}
    for point in sweep.points:
        first.setdefault(point.config.model, point)
    arms = []
    for model, point in first.items():
        macs = count_macs(model)
        plain = point.config.to_plain()["model"]
        ratio = macs / count_macs(vanilla(model))
        name = point.name.removesuffix(f"seed={point.config.seed}").rstrip(",") or "base"
        arms.append(Arm(name, plain, count_params(model), macs, ratio))
    return arms


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
    state = (1 + MOMENTS) * weights
    kept = len({*placement.keep_epochs} | {config.train.epochs}) * weights
    return Disk(state, weights, peak=STATES * state + kept, after_gc=kept)
