"""How a variant's own parameters start; those of linear maps and norms start as everywhere."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

Init = Callable[[Tensor, torch.Generator], object]
"""Fills a parameter in place, drawing from the generator that is the parameter's own."""
Inits = Mapping[str, Init]
"""By the parameter's name within its attention layer."""


def zeros(p: Tensor, _: torch.Generator) -> None:
    p.zero_()


def normal(std: float) -> Init:
    return lambda p, generator: p.normal_(0.0, std, generator=generator)


def trunc_normal(std: float) -> Init:
    return lambda p, generator: nn.init.trunc_normal_(p, std=std, generator=generator)
