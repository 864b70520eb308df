"""Softmax attention."""

from torch import Tensor
from torch.nn import functional as F

from model.attention.base import DotProductAttention


class SoftmaxAttention(DotProductAttention):
    """``softmax(q k^T / sqrt(d)) v`` (Vaswani et al., arXiv 1706.03762, eq. 1), by the kernel."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See `DotProductAttention.mix`."""
        return F.scaled_dot_product_attention(q, k, v)
