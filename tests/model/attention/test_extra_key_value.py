from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from support.arms import TINY
from torch import Tensor

from model.config import ViTConfig
from model.vit import build_vit

EXTRA = replace(TINY, attention="extra_key_value")


def test_with_key_and_value_at_zero_it_is_softmax_plus_one(
    layer: Callable[[ViTConfig], Any], x: Tensor
) -> None:
    attention = layer(EXTRA)
    plus_one = layer(replace(TINY, attention="softmax_plus_one"))
    plus_one.load_state_dict(attention.state_dict(), strict=False)
    attention.extra_key.zero_()
    attention.extra_value.zero_()

    torch.testing.assert_close(attention(x), plus_one(x))
    torch.testing.assert_close(attention.weights(x), plus_one.weights(x))


def test_a_key_that_all_queries_match_takes_all_attention(
    layer: Callable[[ViTConfig], Any], x: Tensor
) -> None:
    attention = layer(EXTRA)
    attention.qkv.bias[:32] = 50.0  # queries
    attention.extra_key.fill_(50.0)

    inside = attention.inside(x)

    assert inside.weights.max() < 1e-6
    expected = attention.extra_value[:, None].expand(2, 4, 17, 8)
    torch.testing.assert_close(inside.mixed, expected)


def test_key_and_value_start_as_the_learned_tokens_do() -> None:
    attention = build_vit(ViTConfig(depth=1, attention="extra_key_value")).blocks[0].attn

    for extra in (attention.extra_key, attention.extra_value):
        assert extra.shape == (6, 64)
        assert extra.std().item() == pytest.approx(0.02, rel=0.2)
