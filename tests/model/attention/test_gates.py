import inspect
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from support.arms import ACTING, GATES, PLACED, TINY
from timm.layers.attention import Attention
from torch import Tensor

from model.attention.gates import ACTIVATIONS, build_gate
from model.attention.softmax import SoftmaxAttention
from model.config import GateConfig, ViTConfig
from model.vit import ViT, build_vit

Build = Callable[[ViTConfig], ViT]
Layer = Callable[[ViTConfig], Any]

OPEN = {"sigmoid": 30.0, "ns_sigmoid": 30.0, "silu": 1.2784645}
"""A bias at which a gate without weights multiplies by 1."""
NOTHING = {"sigmoid": -60.0, "silu": 0.0}
"""A bias at which it adds 0; ``ns_sigmoid`` always adds half at least."""


def gate_of(**settings: Any) -> Any:
    """The gate of one block of ViT-S, as it starts."""
    return build_vit(ViTConfig(depth=1, gate=GateConfig(**settings))).blocks[0].attn.gate


@pytest.mark.parametrize("name", [n for n, g in GATES.items() if g.mode == "multiply"])
def test_a_fully_open_gate_is_no_gate(build: Build, images: Tensor, name: str) -> None:
    gate = replace(GATES[name], bias_init=OPEN[GATES[name].activation])
    if gate.input != "none":
        gate = replace(gate, init_std=0.0)

    torch.testing.assert_close(build(replace(TINY, gate=gate))(images), build(TINY)(images))


@pytest.mark.parametrize(
    "name", [n for n, g in ACTING.items() if g.mode == "add" and g.activation in NOTHING]
)
def test_a_gate_that_adds_nothing_is_no_gate(build: Build, images: Tensor, name: str) -> None:
    gate = replace(ACTING[name], bias_init=NOTHING[ACTING[name].activation], init_std=0.0)

    assert torch.equal(build(replace(TINY, gate=gate))(images), build(TINY)(images))


@pytest.mark.parametrize("position", ["sdpa", "value"])
def test_a_shut_gate_leaves_only_the_bias_of_the_projection(x: Tensor, position: Any) -> None:
    gate = GateConfig(position=position, bias_init=-60.0)
    attention = build_vit(replace(TINY, gate=gate)).blocks[0].attn
    torch.nn.init.ones_(attention.proj.bias)

    out = attention(x)

    torch.testing.assert_close(out, torch.ones_like(out))


def test_a_gate_on_the_output_gates_the_bias_of_the_projection_too(x: Tensor) -> None:
    gate = GateConfig(position="output", bias_init=-60.0)
    attention = build_vit(replace(TINY, gate=gate)).blocks[0].attn
    torch.nn.init.ones_(attention.proj.bias)

    assert attention(x).abs().max() < 1e-20


def test_a_gate_on_the_output_pairs_value_and_channel(layer: Layer, x: Tensor) -> None:
    attention = layer(replace(TINY, gate=GateConfig(position="output")))
    vanilla = layer(TINY)
    vanilla.load_state_dict(
        {name: p for name, p in attention.state_dict().items() if "gate" not in name}
    )
    logits = torch.nn.functional.linear(x, attention.gate.weight, attention.gate.bias)

    torch.testing.assert_close(attention(x), vanilla(x) * logits.sigmoid())


@pytest.mark.skipif(
    "gated" not in inspect.signature(Attention).parameters, reason="this timm has no gate"
)
def test_after_attention_it_is_timms_gate(x: Tensor) -> None:
    ours = SoftmaxAttention(replace(TINY, gate=GateConfig()))
    theirs = Attention(32, num_heads=4, qkv_bias=True, gated=True)
    theirs.load_state_dict(ours.state_dict())

    torch.testing.assert_close(ours(x), theirs(x))


def test_on_the_values_it_gates_what_is_attended_to(x: Tensor) -> None:
    attention = SoftmaxAttention(replace(TINY, gate=GateConfig(position="value")))
    logits = torch.nn.functional.linear(x, attention.gate.weight, attention.gate.bias)
    gated = attention.qkv(x)[..., 64:] * logits.sigmoid()

    mixed = attention.weights(x) @ gated.unflatten(-1, (4, 8)).transpose(1, 2)

    expected = attention.proj(mixed.transpose(1, 2).flatten(2))
    torch.testing.assert_close(attention(x), expected)


def test_an_added_gate_is_added(layer: Layer, x: Tensor) -> None:
    """Y + SiLU(X W + b), the paper's additive variant."""
    attention = layer(replace(TINY, gate=GateConfig(mode="add", activation="silu")))
    z = torch.nn.functional.linear(x, attention.gate.weight, attention.gate.bias)
    added = (z / (1 + torch.exp(-z))).unflatten(-1, (4, 8)).transpose(1, 2)

    torch.testing.assert_close(attention.inside(x).mixed, attention.attend(x) + added)


def test_gates_start_half_open() -> None:
    """On normalised inputs of ViT-S, logits of deviation .02 x sqrt(384)."""
    x = torch.nn.functional.layer_norm(torch.randn(20, 50, 384), (384,))

    values = gate_of()(x)

    assert values.mean().item() == pytest.approx(0.5, abs=0.005)
    assert values.std().item() == pytest.approx(0.094, abs=0.002)


@pytest.mark.parametrize(
    ("activation", "bias", "mean"),
    [
        ("sigmoid", 0.0, 0.5),
        ("sigmoid", 2.197, 0.9),
        ("sigmoid", -2.197, 0.1),
        ("ns_sigmoid", 0.0, 0.75),
        ("silu", 0.0, 0.0),
        ("silu", 1.278, 1.0),
    ],
)
@pytest.mark.parametrize("source", ["token", "none"])
def test_the_bias_sets_the_mean_at_the_start(
    activation: Any, bias: float, mean: float, source: Any
) -> None:
    x = torch.nn.functional.layer_norm(torch.randn(4, 50, 384), (384,))

    values = gate_of(activation=activation, bias_init=bias, input=source)(x)

    near = {"token": 0.05, "none": 0.001}[source]
    assert values.mean().item() == pytest.approx(mean, abs=near)


def test_the_non_sparse_sigmoid_never_shuts() -> None:
    values = ACTIVATIONS["ns_sigmoid"](torch.linspace(-200, 200, 401))

    assert values[200] == 0.75
    assert (values.min(), values.max()) == (0.5, 1.0)


@pytest.mark.parametrize("name", PLACED)
def test_values_stand_in_the_layout_of_the_heads(name: str, x: Tensor) -> None:
    """Head h, channel d is channel 8 h + d of the linear map; a coarser gate has a 1 in it."""
    config = replace(TINY, gate=PLACED[name])
    gate = build_gate(config)
    assert gate is not None
    assert config.gate is not None
    torch.nn.init.normal_(gate.bias)
    rows, columns = config.gate.shape(4, 8)

    values = gate(x)

    assert values.shape == (2, rows, 17, columns)
    for row, column in ((0, 0), (rows - 1, columns - 1)):
        index = columns * row + column
        z = gate.bias[index]
        if config.gate.input == "token":
            z = z + x[1, 5] @ gate.weight[index]
        if config.gate.input == "head_slice":
            z = z + x[1, 5, 8 * row : 8 * row + 8] @ gate.weight[row]
        assert values[1, row, 5, column].item() == pytest.approx(z.sigmoid().item(), rel=1e-5)


@pytest.mark.parametrize(
    ("settings", "params", "bias"),
    [
        ({"granularity": "elementwise"}, 1_769_472, 4_608),
        ({"granularity": "headwise"}, 27_648, 72),
        ({"granularity": "head_shared"}, 294_912, 768),
        ({"granularity": "headwise", "input": "head_slice"}, 12 * 6 * 64, 72),
    ],
)
def test_a_gate_in_vit_s_has_as_many_parameters_as_the_paper_says(
    settings: dict[str, Any], params: int, bias: int
) -> None:
    def count(*, bias: bool) -> int:
        gate = build_gate(ViTConfig(gate=GateConfig(bias=bias, **settings)))
        assert gate is not None
        return 12 * sum(p.numel() for p in gate.parameters())

    assert count(bias=False) == params
    assert count(bias=True) == params + bias


def test_an_input_independent_gate_starts_at_one_half_with_4608_scalars_in_vit_s() -> None:
    gate = gate_of(input="none")

    assert 12 * sum(p.numel() for p in gate.parameters()) == 4_608
    assert not gate.bias.any()
    assert (gate(torch.randn(2, 5, 384)) == 0.5).all()


@pytest.mark.parametrize("name", GATES)
def test_every_parameter_of_a_gate_is_named_so(name: str) -> None:
    vanilla = build_vit(TINY).state_dict().keys()

    more = build_vit(replace(TINY, gate=GATES[name])).state_dict().keys() - vanilla

    assert more
    assert all(".gate." in key for key in more)


def test_the_weights_start_with_the_deviation_that_is_asked() -> None:
    weight = gate_of(init_std=0.5).weight

    assert weight.std().item() == pytest.approx(0.5, rel=0.01)
    assert gate_of(input="head_slice", granularity="headwise").weight.std().item() == pytest.approx(
        0.02, rel=5 / math.sqrt(384)
    )
