import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from support.arms import TINY
from torch import Tensor

from model.config import ViTConfig
from model.vit import build_vit

Layer = Callable[[ViTConfig], Any]
DIFFERENTIAL = replace(TINY, attention="differential", depth=4)


def test_it_is_timms_in_every_block(layer: Layer, x: Tensor) -> None:
    timm = pytest.importorskip("timm.layers.diff_attention", reason="this timm has none")
    attention = layer(DIFFERENTIAL)
    for depth in (0, 3):
        theirs = timm.DiffAttention(32, num_heads=4, qkv_bias=True, depth=depth)
        theirs.load_state_dict(attention.state_dict())
        attention.set_depth(depth)

        torch.testing.assert_close(attention(x), theirs(x))


def test_every_block_knows_its_depth() -> None:
    blocks = build_vit(DIFFERENTIAL).blocks

    found = [block.attn.lambda_init for block in blocks]

    assert found == pytest.approx([0.2, 0.8 - 0.6 * math.exp(-0.3), 0.470713, 0.556058], abs=1e-6)


def test_rows_sum_to_one_minus_lambda(layer: Layer, x: Tensor) -> None:
    attention = layer(DIFFERENTIAL)
    attention.lambda_q1.fill_(0.5)
    attention.lambda_k1.fill_(0.25)  # 4 channels: exp(0.5)
    attention.lambda_q2.zero_()

    sums = attention.weights(x).sum(dim=-1)

    factor = math.exp(0.5) - 1 + attention.lambda_init
    torch.testing.assert_close(sums, torch.full((2, 4, 17), 1 - factor))


def test_where_both_halves_agree_only_the_factor_is_left(layer: Layer, x: Tensor) -> None:
    """softmax(s) - lambda softmax(s) = (1 - lambda) softmax(s)."""
    attention = layer(DIFFERENTIAL)
    for part in (attention.qkv.weight[:64], attention.qkv.bias[:64]):
        halves = part.unflatten(0, (2, 4, 2, 4))  # queries and keys, heads, halves, channels
        halves[:, :, 1] = halves[:, :, 0]

    q, k, _ = attention.project(x)
    first = (q[..., :4] @ k[..., :4].mT / 2).softmax(dim=-1)

    torch.testing.assert_close(attention.weights(x), (1 - attention.factor()) * first)


def test_its_own_vectors_start_small_and_drawn() -> None:
    attention = build_vit(ViTConfig(depth=1, attention="differential")).blocks[0].attn
    vectors = [getattr(attention, f"lambda_{kind}") for kind in ("q1", "k1", "q2", "k2")]

    assert all(vector.shape == (32,) for vector in vectors)
    assert torch.cat(vectors).std().item() == pytest.approx(0.1, rel=0.2)
    assert (attention.sub_norm.weight == 1).all()
