from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from model.config import ViTConfig
from model.probes.base import Findings
from model.probes.weights import gradients_by_block, layer_scales
from model.vit import ViT, build_vit

Build = Callable[[ViTConfig], ViT]


def test_layer_scales_are_told_by_branch_and_block(tiny: ViTConfig) -> None:
    model = build_vit(replace(tiny, layer_scale=0.1))
    with torch.no_grad():
        model.blocks[1].ls2.gamma[:16] = -0.5

    found = layer_scales(model)

    assert found.arrays["layer_scale/by_block/mlp"] == pytest.approx([0.1, 0.3, 0.1])
    assert found.scalars["layer_scale/attention"] == pytest.approx(0.1)
    assert found.scalars["layer_scale/mlp"] == pytest.approx(0.5 / 3)


def test_a_model_without_layer_scale_has_none(tiny: ViTConfig) -> None:
    assert layer_scales(build_vit(tiny)) == Findings()


def test_gradient_norms_of_blocks_are_parts_of_the_whole(
    tiny: ViTConfig, build: Build, images: Tensor
) -> None:
    model = build(tiny)
    before = {name: p.clone() for name, p in model.named_parameters()}
    assert gradients_by_block(model).arrays["gradients/by_block"].tolist() == [0, 0, 0]
    model(images).square().sum().backward()

    found = gradients_by_block(model)
    norms = found.arrays["gradients/by_block"]

    for block, norm in zip(model.blocks, norms, strict=True):
        squares = sum(p.grad.square().sum() for p in block.parameters())
        assert norm.item() == pytest.approx(squares.sqrt().item(), rel=1e-5)
    assert found.scalars["gradients/max"] == norms[int(found.scalars["gradients/max_block"])]
    assert found.scalars["gradients/max"] >= found.scalars["gradients/median"] > 0
    assert all(torch.equal(before[name], p) for name, p in model.named_parameters())
