"""Attention layers with lively weights, and an input for them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from model.config import ViTConfig
from model.vit import build_vit

Layer = Callable[[ViTConfig], Any]


@pytest.fixture
def layer() -> Layer:
    """The second block's attention, every parameter of it far from 0."""

    def build(config: ViTConfig) -> Any:
        attention = build_vit(config).blocks[1].attn
        with torch.no_grad():
            for i, parameter in enumerate(attention.parameters()):
                generator = torch.Generator().manual_seed(i)
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
        return attention.requires_grad_(requires_grad=False)

    return build


@pytest.fixture
def x() -> Tensor:
    """Normalised tokens ``(2, 17, 32)``."""
    x = torch.randn(2, 17, 32, generator=torch.Generator().manual_seed(7))
    return torch.nn.functional.layer_norm(x, (32,))
