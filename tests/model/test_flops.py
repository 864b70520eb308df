"""Formulas against three witnesses: published numbers, the built model, two FLOP counters."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from fvcore.nn.jit_handles import get_shape
from support.arms import ARMS as SMALL_ARMS
from support.arms import PAIRS
from torch.utils.flop_counter import FlopCounterMode

from model.config import GateConfig, GatePosition, ViTConfig
from model.flops import count_macs, count_params, count_training_macs, vanilla
from model.variants import VARIANTS
from model.vit import ViT, build_vit

SMALL = ViTConfig(num_classes=1000)
SMALL_100 = ViTConfig(num_classes=100)
GATE = GateConfig()
NO_BIAS = GateConfig(bias=False)
POSITIONS = get_args(GatePosition)

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
FOR_FVCORE = ARMS | {name: replace(arm, depth=1) for name, arm in SMALL_ARMS.items()}
ARMS |= SMALL_ARMS | {name: replace(arm, registers=3, depth=1) for name, arm in PAIRS.items()}
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
        (replace(SMALL, layer_scale=None, registers=4), 22_051_816),
        (replace(SMALL_100, registers=2), 21_713_764),
        (replace(SMALL_100, registers=8), 21_716_068),
        (replace(SMALL_100, registers=16), 21_719_140),
        (replace(SMALL_100, gate=GateConfig(granularity="headwise", bias=False)), 21_740_644),
        (replace(SMALL_100, gate=GateConfig(granularity="headwise")), 21_740_716),
        (replace(SMALL, gate=GateConfig(granularity="head_shared")), 22_059_496 + 294_912 + 768),
        (replace(SMALL, gate=GateConfig(input="none")), 22_059_496 + 4_608),
        (replace(SMALL, mlp_ratio=4.5), 22_059_496 + 1_771_776),
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
        *[(replace(SMALL, gate=GateConfig(position=p)), 4_947_468_288) for p in POSITIONS],
        (replace(SMALL, gate=GateConfig(granularity="headwise")), 4_604_328_960),
        (replace(SMALL, gate=GateConfig(granularity="head_shared")), 4_656_979_968),
        (replace(SMALL, gate=GateConfig(input="none")), 4_598_882_304),
        (replace(SMALL, mlp_ratio=4.5), 4_947_468_288),
    ],
)
def test_macs_are_those_published(config: ViTConfig, macs: int) -> None:
    assert count_macs(config) == macs


def test_a_gate_and_four_registers_cost_a_tenth_more() -> None:
    both = replace(SMALL, gate=GATE, registers=4)

    assert count_macs(both) / count_macs(SMALL) == pytest.approx(1.09900, abs=5e-6)


def test_arms_cost_in_this_order() -> None:
    def registers(number: int) -> ViTConfig:
        return replace(SMALL, registers=number)

    headwise, shared = GateConfig(granularity="headwise"), GateConfig(granularity="head_shared")
    ascending = [
        SMALL,
        replace(SMALL, gate=headwise),
        registers(1),
        registers(2),
        replace(SMALL, gate=shared),
        registers(4),
        registers(13),
        replace(SMALL, gate=GATE),
        registers(14),
    ]

    costs = [count_macs(config) for config in ascending]

    assert costs == sorted(set(costs))


def test_the_plain_model_has_nothing_that_is_an_arms() -> None:
    gated = replace(SMALL, gate=GATE, registers=4)

    assert vanilla(gated) == SMALL
    assert vanilla(replace(SMALL, attention="clipped_softmax", clip_alpha=2.0)) == SMALL
    assert vanilla(replace(SMALL, attention="nowhere.mine", clip_alpha=2.0)) == SMALL


def test_a_new_variants_own_setting_is_not_the_plain_models(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = {**VARIANTS, "softmax": replace(VARIANTS["softmax"], settings=("drop_path",))}
    monkeypatch.setattr("model.flops.VARIANTS", rows)

    assert vanilla(replace(SMALL, drop_path=0.5)) == SMALL


def test_a_wider_mlp_is_a_size_and_no_arm() -> None:
    matched = replace(SMALL, mlp_ratio=4.5)

    assert vanilla(replace(matched, gate=GATE)) == matched


def test_a_training_step_of_vit_s_costs_almost_three_forward_passes() -> None:
    assert count_training_macs(SMALL) / count_macs(SMALL) == pytest.approx(2.987, abs=5e-4)


@every_arm
def test_parameters_are_those_of_the_model(config: ViTConfig) -> None:
    with torch.device("meta"):
        model = ViT(config)

    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == count_params(config)


@every_arm
def test_torch_counts_twice_the_macs(config: ViTConfig) -> None:
    """On the meta device, where attention is not lost in a fused kernel."""
    with torch.device("meta"):
        model, images = ViT(config), _images(config)

    with FlopCounterMode(display=False) as counter:
        logits = model(images)
        assert counter.get_total_flops() == 2 * count_macs(config)
        logits.sum().backward()

    assert counter.get_total_flops() == 2 * count_training_macs(config)


@pytest.mark.parametrize("config", FOR_FVCORE.values(), ids=FOR_FVCORE.keys())
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
    keys, values_width = get_shape(inputs[1])[2], get_shape(inputs[2])[3]
    return int(batch * heads * queries * keys * (width + values_width))
