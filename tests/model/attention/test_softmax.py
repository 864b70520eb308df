import math

import torch
from support.arms import TINY
from torch import Tensor

from model.attention.softmax import SoftmaxAttention


def test_two_keys_share_attention_by_the_difference_of_their_scores() -> None:
    attention = SoftmaxAttention(TINY)
    q, v = torch.ones(1, 1, 1, 4), torch.tensor([0.0, 1.0]).reshape(1, 1, 2, 1)
    k = torch.tensor([[0.0] * 4, [math.log(3) / 2] * 4]).reshape(1, 1, 2, 4)

    logits, weights = attention.weigh(q, k)

    assert logits is not None
    torch.testing.assert_close(logits.flatten(), torch.tensor([0, math.log(3)]))
    torch.testing.assert_close(weights.flatten(), torch.tensor([0.25, 0.75]))
    torch.testing.assert_close(attention.mix(q, k, v).flatten(), torch.tensor([0.75]))


def test_rows_sum_to_one_and_shares_of_class_token_registers_and_patches_too(x: Tensor) -> None:
    rows = SoftmaxAttention(TINY).inside(x).weights

    shares = rows[..., 0] + rows[..., 1:4].sum(-1) + rows[..., 4:].sum(-1)

    assert (rows.sum(dim=-1) - 1).abs().max() < 5e-7
    assert (shares - 1).abs().max() < 5e-7
