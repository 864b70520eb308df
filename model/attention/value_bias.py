"""Softmax attention with a learned vector added to what each head gives."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.attention.inits import Inits, zeros
from model.attention.softmax import SoftmaxAttention
from model.config import ViTConfig


class ValueBiasAttention(SoftmaxAttention):
    """``softmax(q k^T / sqrt(d)) v + v'`` with one learned v' per head, 0 at the start.

    Tried by DINOv3 as "value gating" (arXiv 2508.10104, appendix A), though nothing gates. Before
    the output projection it is another parametrisation of that projection's bias.
    """

    inits: ClassVar[Inits] = {"extra_value": zeros}
    undecayed: ClassVar[frozenset[str]] = frozenset(inits)

    def __init__(self, config: ViTConfig) -> None:
        super().__init__(config)
        self.extra_value = nn.Parameter(torch.zeros(config.heads, config.head_dim))

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See `DotProductAttention.mix`."""
        return F.scaled_dot_product_attention(q, k, v) + self.extra_value[:, None]
