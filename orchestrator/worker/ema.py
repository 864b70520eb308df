"""An exponential moving average of a model's weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True, eq=False)
class Average:
    """``average = decay * average + (1 - decay) * weights`` after every step."""

    decay: float
    weights: dict[str, Tensor]

    @classmethod
    def of(cls, model: nn.Module, decay: float) -> Self:
        """An average that starts at the model's weights."""
        return cls(decay, {name: value.clone() for name, value in model.state_dict().items()})

    @torch.no_grad()
    def follow(self, model: nn.Module) -> None:
        state = model.state_dict()
        newest = [state[name] for name in self.weights]
        torch._foreach_lerp_(list(self.weights.values()), newest, 1 - self.decay)

    def resume(self, weights: Mapping[str, Tensor]) -> None:
        for name, value in self.weights.items():
            value.copy_(weights[name])
