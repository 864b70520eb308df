from dataclasses import replace

import torch
from support.arms import TINY
from torch import Tensor

from model.vit import build_vit

NORMED = replace(TINY, attention="head_rms_norm")


def test_every_head_of_every_token_has_a_root_mean_square_of_one(x: Tensor) -> None:
    attention = build_vit(NORMED).blocks[0].attn

    mixed = attention.inside(100 * x).mixed

    torch.testing.assert_close(mixed.square().mean(dim=-1), torch.ones(2, 4, 17))


def test_it_is_the_output_of_softmax_attention_that_is_normalised(x: Tensor) -> None:
    normed, plain = build_vit(NORMED).blocks[0].attn, build_vit(TINY).blocks[0].attn
    y = plain.inside(x).mixed

    expected = y / (y.square().mean(dim=-1, keepdim=True) + 1e-6).sqrt()

    torch.testing.assert_close(normed.inside(x).mixed, expected)
