import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import pytest
import torch
from timm.layers.attention import Attention
from torch import Tensor

from model.attention.gates import SigmoidGate
from model.attention.softmax import SoftmaxAttention
from model.config import GateConfig, GatePosition, ViTConfig
from model.vit import ViT, build_vit

Build = Callable[[ViTConfig], ViT]

positions = pytest.mark.parametrize("position", get_args(GatePosition))


@positions
def test_a_fully_open_gate_is_no_gate(
    tiny: ViTConfig, build: Build, images: Tensor, position: GatePosition
) -> None:
    gate = GateConfig(position=position, bias_init=30.0)

    torch.testing.assert_close(build(replace(tiny, gate=gate))(images), build(tiny)(images))


@positions
def test_a_shut_gate_leaves_only_the_bias_of_the_projection(
    tiny: ViTConfig, position: GatePosition
) -> None:
    gate = GateConfig(position=position, bias_init=-60.0)
    attention = build_vit(replace(tiny, gate=gate)).blocks[0].attn
    torch.nn.init.ones_(attention.proj.bias)

    out = attention(torch.randn(2, 17, 32))

    torch.testing.assert_close(out, torch.ones_like(out))


@pytest.mark.skipif(
    "gated" not in inspect.signature(Attention).parameters, reason="this timm has no gate"
)
def test_after_attention_it_is_timms_gate(tiny: ViTConfig) -> None:
    ours = SoftmaxAttention(replace(tiny, gate=GateConfig()))
    theirs = Attention(32, num_heads=4, qkv_bias=True, gated=True)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 17, 32)

    torch.testing.assert_close(ours(x), theirs(x))


def test_on_the_values_it_gates_what_is_attended_to(tiny: ViTConfig) -> None:
    attention = SoftmaxAttention(replace(tiny, gate=GateConfig(position="value")))
    x = torch.randn(2, 17, 32)
    logits = torch.nn.functional.linear(x, attention.gate.weight, attention.gate.bias)
    gated = attention.qkv(x)[..., 64:] * logits.sigmoid()

    mixed = attention.weights(x) @ gated.unflatten(-1, (4, 8)).transpose(1, 2)

    expected = attention.proj(mixed.transpose(1, 2).flatten(2))
    torch.testing.assert_close(attention(x), expected)


def test_gates_start_half_open() -> None:
    """On normalised inputs of ViT-S, logits of deviation .02 x sqrt(384)."""
    gate = build_vit(ViTConfig(depth=1, gate=GateConfig())).blocks[0].attn.gate
    x = torch.nn.functional.layer_norm(torch.randn(20, 50, 384), (384,))

    values = gate(x)

    assert values.mean().item() == pytest.approx(0.5, abs=0.005)
    assert values.std().item() == pytest.approx(0.094, abs=0.002)


def test_values_stand_in_the_layout_of_the_heads() -> None:
    gate = SigmoidGate(6, heads=3, config=GateConfig())
    x = torch.randn(2, 5, 6)

    values = gate(x)

    logits = torch.nn.functional.linear(x, gate.weight, gate.bias)
    assert values.shape == (2, 3, 5, 2)
    assert torch.equal(values[1, 2, 4], logits.sigmoid()[1, 4, 4:6])
