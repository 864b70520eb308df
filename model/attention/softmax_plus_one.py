"""Softmax attention in which a head may attend to nothing."""

from torch import Tensor
from torch.nn import functional as F

from model.attention.base import DotProductAttention


class SoftmaxPlusOneAttention(DotProductAttention):
    """``exp(s_i) / (1 + sum_j exp(s_j))`` of the scores s, times the values.

    Off-by-one softmax (Miller, "Attention Is Off By One", 2023). It is softmax with one more key,
    zero in key and value, and so the fused kernel computes it; the weights of a row sum to less
    than 1.
    """

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See `DotProductAttention.mix`."""
        nothing = (0, 0, 0, 1)  # one more row of zeros
        return F.scaled_dot_product_attention(q, F.pad(k, nothing), F.pad(v, nothing))

    def normalise(self, logits: Tensor) -> Tensor:
        """See `DotProductAttention.normalise`."""
        return F.pad(logits, (0, 1)).softmax(dim=-1)[..., :-1]
