import inspect

import pytest
import torch
from timm.layers.attention import Attention
from torch import nn

from model.attention.timm_attention import look_inside
from model.config import ViTConfig
from model.vit import build_vit

PLAIN: dict[str, object] = {"qkv_bias": True}
KINDS: list[dict[str, object]] = [
    PLAIN,
    {"qk_norm": True, "norm_layer": nn.LayerNorm},
    {"scale_norm": True, "norm_layer": nn.LayerNorm},
    {"gated": True, "qkv_bias": True, "scale_norm": True, "norm_layer": nn.LayerNorm},
    {"attn_head_dim": 5},
]


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_seen_inside_reproduces_timms_output(kind: dict[str, object], fused: bool) -> None:  # noqa: FBT001
    if missing := kind.keys() - inspect.signature(Attention).parameters.keys():
        pytest.skip(f"this timm has no {missing}")
    attention = Attention(32, num_heads=4, **kind).eval()
    attention.fused_attn = fused
    x = 3 * torch.randn(2, 17, 32)

    inside = look_inside(attention, x)

    out = attention.proj(inside.mixed.transpose(1, 2).flatten(2))
    torch.testing.assert_close(out, attention(x))
    torch.testing.assert_close(inside.weights.sum(dim=-1), torch.ones(2, 4, 17))
    torch.testing.assert_close(inside.logits.softmax(dim=-1), inside.weights)
    assert (inside.gate is None) == ("gated" not in kind)


def test_without_norm_and_gate_the_weights_mix_the_values() -> None:
    inside = look_inside(Attention(32, num_heads=4).eval(), torch.randn(2, 17, 32))

    torch.testing.assert_close(inside.weights @ inside.values, inside.mixed)


def test_ours_and_timms_look_the_same_inside(tiny: ViTConfig) -> None:
    ours, theirs = build_vit(tiny).blocks[0].attn, Attention(32, num_heads=4, qkv_bias=True)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 17, 32)

    for name in ("weights", "logits", "values", "mixed"):
        one, other = getattr(look_inside(ours, x), name), getattr(look_inside(theirs, x), name)
        torch.testing.assert_close(one, other)


def test_what_computes_something_else_is_refused_and_not_guessed() -> None:
    class Reversed(Attention):
        def forward(self, x: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
            return super().forward(x.flip(1))

    for other in (nn.MultiheadAttention(32, 4), Reversed(32)):
        with pytest.raises(TypeError, match=f"cannot look inside {type(other).__name__}"):
            look_inside(other, torch.randn(1, 3, 32))
