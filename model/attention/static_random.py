"""A negative control: every token attends by a random pattern that is never trained."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from model.attention.base import Scored
from model.attention.inits import Inits, normal
from model.attention.uniform import UniformAttention
from model.config import ViTConfig


class StaticRandomAttention(UniformAttention):
    """``softmax(R) v`` with a fixed random R ``(h, N, N)`` in every block.

    The fixed random synthesizer of Tay et al., arXiv 2005.00743, section 3.1. R is standard normal,
    so a row spreads over N / e tokens (one over the sum of squared weights). It is a parameter that
    takes no gradient: drawn like all others from the seed and its name, and kept with the weights.
    It fits one number of tokens only.
    """

    inits: ClassVar[Inits] = {"static_logits": normal(1.0)}

    def __init__(self, config: ViTConfig) -> None:
        super().__init__(config)
        shape = (config.heads, config.tokens, config.tokens)
        self.static_logits = nn.Parameter(torch.zeros(shape), requires_grad=False)

    def attend(self, x: Tensor) -> Tensor:
        """See `Attention.attend`."""
        return self.static_logits.softmax(dim=-1) @ self.values(x)

    def score(self, x: Tensor) -> Scored:
        """See `Attention.score`."""
        logits = self.static_logits.expand(len(x), -1, -1, -1)
        return Scored(weights=logits.softmax(dim=-1), logits=logits, values=self.values(x))
