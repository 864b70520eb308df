"""Formulas against three witnesses: published numbers, the built model, two FLOP counters."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from fvcore.nn.jit_handles import get_shape
from torch.utils.flop_counter import FlopCounterMode

from model.config import GateConfig, ViTConfig
from model.flops import count_macs, count_params
from model.vit import ViT, build_vit

SMALL = ViTConfig(num_classes=1000)
SMALL_100 = ViTConfig(num_classes=100)
GATE = GateConfig()
NO_BIAS = GateConfig(bias=False)

ARMS = {
    "vanilla": SMALL,
    "registers": replace(SMALL, registers=4),
    "gate": replace(SMALL, gate=GATE),
    "value gate without bias": replace(
        SMALL, gate=GateConfig(position="value", bias=False), registers=3
    ),
    "no LayerScale": replace(SMALL, layer_scale=None),
    "odd": ViTConfig(
        img_size=35, patch_size=7, in_chans=1, num_classes=3, dim=30, depth=5, heads=3,
        mlp_ratio=2.51, registers=2, gate=GATE,
    ),
}  # fmt: skip
every_arm = pytest.mark.parametrize("config", ARMS.values(), ids=ARMS.keys())


@pytest.mark.parametrize(
    ("config", "params"),
    [
        (SMALL, 22_059_496),
        (SMALL_100, 21_712_996),
        (replace(SMALL, registers=2), 22_060_264),
        (replace(SMALL, registers=4), 22_061_032),
        (replace(SMALL, registers=8), 22_062_568),
        (replace(SMALL, registers=16), 22_065_640),
        (replace(SMALL, registers=32), 22_071_784),
        (replace(SMALL_100, registers=4), 21_714_532),
        (replace(SMALL_100, registers=32), 21_725_284),
        (replace(SMALL_100, gate=NO_BIAS), 23_482_468),
        (replace(SMALL_100, gate=GATE), 23_487_076),
        # vit_small_patch16_224 has 22,050,664: one more position, the class token's
        (replace(SMALL, layer_scale=None), 22_050_664 - 384),
        (replace(SMALL_100, layer_scale=None), 21_704_164 - 384),
    ],
)
def test_parameters_are_those_published(config: ViTConfig, params: int) -> None:
    assert count_params(config) == params


@pytest.mark.parametrize(
    ("config", "macs"),
    [
        (SMALL, 4_598_882_304),
        (SMALL_100, 4_598_882_304 - 345_600),
        (replace(SMALL, registers=1), 4_623_756_288),
        (replace(SMALL, registers=2), 4_648_648_704),
        (replace(SMALL, registers=4), 4_698_488_832),
        (replace(SMALL, registers=8), 4_798_390_272),
        (replace(SMALL, registers=16), 4_999_077_888),
        (replace(SMALL, registers=32), 5_403_992_064),
        (replace(SMALL, gate=GATE), 4_947_468_288),
        (replace(SMALL, gate=GateConfig(position="value")), 4_947_468_288),
    ],
)
def test_macs_are_those_published(config: ViTConfig, macs: int) -> None:
    assert count_macs(config) == macs


def test_a_gate_and_four_registers_cost_a_tenth_more() -> None:
    both = replace(SMALL, gate=GATE, registers=4)

    assert count_macs(both) / count_macs(SMALL) == pytest.approx(1.09900, abs=5e-6)


@every_arm
def test_parameters_are_those_of_the_model(config: ViTConfig) -> None:
    with torch.device("meta"):
        model = ViT(config)

    assert sum(p.numel() for p in model.parameters()) == count_params(config)


@every_arm
def test_torch_counts_twice_the_macs(config: ViTConfig) -> None:
    """On the meta device, where attention is not lost in a fused kernel."""
    with torch.device("meta"):
        model, images = ViT(config), _images(config)

    with FlopCounterMode(display=False) as counter:
        model(images)

    assert counter.get_total_flops() == 2 * count_macs(config)


@every_arm
def test_fvcore_counts_the_macs_and_five_per_normalised_value(config: ViTConfig) -> None:
    model = build_vit(replace(config, depth=2))
    norms = (2 * 2 + 1) * config.tokens * config.dim

    counted = FlopCountAnalysis(model, _images(config))
    counted.unsupported_ops_warnings(enabled=False)
    counted.set_op_handle("aten::scaled_dot_product_attention", _fused_attention_macs)

    assert counted.total() == count_macs(model.config) + 5 * norms


def _images(config: ViTConfig) -> torch.Tensor:
    return torch.zeros(1, config.in_chans, config.img_size, config.img_size)


def _fused_attention_macs(inputs: list[Any], outputs: list[Callable[..., Any]]) -> int:
    batch, heads, queries, width = get_shape(inputs[0])
    keys = get_shape(inputs[1])[2]
    return int(2 * batch * heads * queries * keys * width)
