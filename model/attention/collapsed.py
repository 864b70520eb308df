"""Softmax attention with one matrix where usually two are multiplied.

Bermeitinger et al., arXiv 2410.13732: W_Q W_K^T, and likewise W_V W_O, can be collapsed into one
matrix of the same size, dim x dim. With several heads that is a restriction: each head sees as
keys, or mixes as values, its own d channels of the token.
"""

from typing import ClassVar

from torch import Tensor

from model.attention.softmax import SoftmaxAttention


class CollapsedQueryKeyAttention(SoftmaxAttention):
    """``softmax((x W) x^T / sqrt(d)) v``: tokens are their own keys."""

    projected: ClassVar[int] = 2

    def bring(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `DotProductAttention.bring`."""
        q, v = self.qkv(x).chunk(2, dim=-1)
        return q, x, v


class CollapsedValueOutputAttention(SoftmaxAttention):
    """``softmax(q k^T / sqrt(d)) x W``: tokens are their own values, ``proj`` is the one matrix.

    Qiu et al. (arXiv 2505.06708, section 4.1) explain what a gate does by the low rank of a head's
    W_V W_O; here it has none.
    """

    projected: ClassVar[int] = 2

    def bring(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `DotProductAttention.bring`."""
        q, k = self.qkv(x).chunk(2, dim=-1)
        return q, k, x
