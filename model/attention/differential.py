"""Attention by the difference of two softmax maps."""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.attention.base import DotProductAttention, scores
from model.attention.inits import Inits, normal
from model.config import ViTConfig


class DifferentialAttention(DotProductAttention):
    """``(1 - c) RMSNorm((softmax(s_1) - lambda softmax(s_2)) v)``, each head by itself.

    Ye et al., arXiv 2410.05258, eqs. 1 to 3, in timm's layout: s_1 and s_2 are the scaled scores of
    the first and the second half of a head's query and key channels, so heads stay as many as in
    softmax attention. With learned vectors of d / 2 values, shared by the heads of a block,
    ``lambda = exp(q_1 . k_1) - exp(q_2 . k_2) + c`` and c = 0.8 - 0.6 exp(-0.3 depth), the depth
    from 0. Rows of weights sum to 1 - lambda and may hold negative values. Two maps have no single
    score, so `Inside.logits` is None. A gate on the heads' outputs stands after the norm and the
    factor 1 - c, one on queries or keys before they are halved.
    """

    inits: ClassVar[Inits] = dict.fromkeys(
        ("lambda_q1", "lambda_k1", "lambda_q2", "lambda_k2"), normal(0.1)
    )

    def __init__(self, config: ViTConfig) -> None:
        super().__init__(config)
        half = config.head_dim // 2
        self.lambda_q1, self.lambda_k1 = _vector(half), _vector(half)
        self.lambda_q2, self.lambda_k2 = _vector(half), _vector(half)
        self.sub_norm = nn.RMSNorm(config.head_dim, eps=1e-5)
        self.set_depth(0)

    def set_depth(self, depth: int) -> None:
        """See `Attention.set_depth`."""
        self.lambda_init = 0.8 - 0.6 * math.exp(-0.3 * depth)

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See `DotProductAttention.mix`."""
        (q1, q2), (k1, k2) = q.chunk(2, dim=-1), k.chunk(2, dim=-1)
        first = F.scaled_dot_product_attention(q1, k1, v)
        second = F.scaled_dot_product_attention(q2, k2, v)
        mixed: Tensor = self.sub_norm(first - self.factor().to(first.dtype) * second)
        return mixed * (1 - self.lambda_init)

    def weigh(self, q: Tensor, k: Tensor) -> tuple[Tensor | None, Tensor]:
        """See `DotProductAttention.weigh`."""
        (q1, q2), (k1, k2) = q.chunk(2, dim=-1), k.chunk(2, dim=-1)
        first, second = scores(q1, k1).softmax(dim=-1), scores(q2, k2).softmax(dim=-1)
        return None, first - self.factor() * second

    def factor(self) -> Tensor:
        """Lambda, one number."""
        first = (self.lambda_q1 * self.lambda_k1).sum().float().exp()
        second = (self.lambda_q2 * self.lambda_k2).sum().float().exp()
        return first - second + self.lambda_init


def _vector(size: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(size))
