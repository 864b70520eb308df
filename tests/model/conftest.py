"""A small architecture, and weights that make every part of it matter."""

from collections.abc import Callable

import pytest
import torch

from model.config import ViTConfig
from model.vit import ViT, build_vit

Build = Callable[[ViTConfig], ViT]


@pytest.fixture
def tiny() -> ViTConfig:
    """17 tokens of 32 channels in 3 blocks; no LayerScale, which would hide what the blocks do."""
    return ViTConfig(
        img_size=32, patch_size=8, num_classes=5, dim=32, depth=3, heads=4, layer_scale=None
    )


@pytest.fixture
def build() -> Build:
    """Build a model whose weights are far from zero, so that attention is not uniform."""

    def build_lively(config: ViTConfig) -> ViT:
        model = build_vit(config).eval()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if parameter.ndim > 1 and "gate" not in name:
                    parameter.mul_(10)
        return model

    return build_lively


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(1))
