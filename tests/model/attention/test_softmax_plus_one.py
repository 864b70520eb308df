import math

import torch
from support.arms import TINY
from torch import Tensor

from model.attention.softmax_plus_one import SoftmaxPlusOneAttention


def test_the_denominator_has_one_more() -> None:
    """Scores ln 2 and ln 5: weights 2 / 8 and 5 / 8."""
    weights = SoftmaxPlusOneAttention(TINY).normalise(torch.tensor([math.log(2), math.log(5)]))

    torch.testing.assert_close(weights, torch.tensor([2 / 8, 5 / 8]))


def test_huge_scores_of_either_sign_are_no_trouble() -> None:
    attention = SoftmaxPlusOneAttention(TINY)

    shut, single = attention.normalise(torch.tensor([[-500.0, -500.0], [500.0, 0.0]]))

    assert shut.tolist() == [0, 0]
    assert single.tolist() == [1, 0]


def test_it_is_softmax_with_a_key_and_a_value_of_zeros() -> None:
    q, k, v = torch.randn(3, 2, 4, 5, 8).unbind(0)
    nothing = torch.zeros(2, 4, 1, 8)
    with_zero = (torch.cat([part, nothing], dim=2) for part in (k, v))

    expected = torch.nn.functional.scaled_dot_product_attention(q, *with_zero)

    torch.testing.assert_close(SoftmaxPlusOneAttention(TINY).mix(q, k, v), expected)


def test_rows_leave_something_over(x: Tensor) -> None:
    assert (SoftmaxPlusOneAttention(TINY).inside(x).weights.sum(dim=-1) < 1).all()
