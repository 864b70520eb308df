from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from support.arms import TINY
from torch import Tensor

from model.config import ViTConfig

Layer = Callable[[ViTConfig], Any]


def test_one_matrix_for_queries_and_keys_is_softmax_with_an_identity_for_keys(
    layer: Layer, x: Tensor
) -> None:
    collapsed = layer(replace(TINY, attention="collapsed_query_key"))
    plain = layer(TINY)
    identity, none = torch.eye(32), torch.zeros(32)
    (q, v), (q_bias, v_bias) = collapsed.qkv.weight.chunk(2), collapsed.qkv.bias.chunk(2)
    plain.qkv.weight.copy_(torch.cat([q, identity, v]))
    plain.qkv.bias.copy_(torch.cat([q_bias, none, v_bias]))
    plain.proj.load_state_dict(collapsed.proj.state_dict())

    torch.testing.assert_close(collapsed(x), plain(x))


def test_one_matrix_for_values_and_output_is_softmax_with_an_identity_for_values(
    layer: Layer, x: Tensor
) -> None:
    collapsed = layer(replace(TINY, attention="collapsed_value_output"))
    plain = layer(TINY)
    plain.qkv.weight.copy_(torch.cat([collapsed.qkv.weight, torch.eye(32)]))
    plain.qkv.bias.copy_(torch.cat([collapsed.qkv.bias, torch.zeros(32)]))
    plain.proj.load_state_dict(collapsed.proj.state_dict())

    torch.testing.assert_close(collapsed(x), plain(x))
