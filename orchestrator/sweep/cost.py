"""What the arms of a sweep cost, from their configurations alone."""

from dataclasses import asdict, dataclass
from typing import Any

from model.config import ViTConfig
from model.flops import count_macs, count_params, vanilla
from orchestrator.sweep.expand import Point, Sweep


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
