"""Softmax attention with a learned key and value beside the tokens'."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.attention.base import DotProductAttention, scores
from model.attention.inits import Inits, trunc_normal
from model.config import ViTConfig


class ExtraKeyValueAttention(DotProductAttention):
    """``softmax([q k^T, q k'^T] / sqrt(d)) [v; v']`` with one learned k' and v' per head.

    Sun et al., arXiv 2402.17762, section 5, eq. 3 ("attention bias"); tried by DINOv3 (arXiv
    2508.10104, appendix A). The weights over the tokens sum to less than 1: the rest is that of v'.
    """

    inits: ClassVar[Inits] = {"extra_key": trunc_normal(0.02), "extra_value": trunc_normal(0.02)}
    undecayed: ClassVar[frozenset[str]] = frozenset(inits)

    def __init__(self, config: ViTConfig) -> None:
        super().__init__(config)
        self.extra_key = nn.Parameter(torch.zeros(config.heads, config.head_dim))
        self.extra_value = nn.Parameter(torch.zeros(config.heads, config.head_dim))

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See `DotProductAttention.mix`."""
        return F.scaled_dot_product_attention(
            q, _with(k, self.extra_key), _with(v, self.extra_value)
        )

    def weigh(self, q: Tensor, k: Tensor) -> tuple[Tensor | None, Tensor]:
        """See `DotProductAttention.weigh`."""
        logits = scores(q, _with(k, self.extra_key))
        return logits[..., :-1], logits.softmax(dim=-1)[..., :-1]


def _with(rows: Tensor, extra: Tensor) -> Tensor:
    """``(B, h, N, d)`` and ``(h, d)`` to ``(B, h, N + 1, d)``."""
    one = extra[:, None].to(rows.dtype).expand(len(rows), -1, -1, -1)
    return torch.cat([rows, one], dim=2)
