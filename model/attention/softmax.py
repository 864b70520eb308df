"""Softmax attention with an optional gate."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.attention.gates import SigmoidGate, apply_gate
from model.config import ViTConfig


class SoftmaxAttention(nn.Module):
    """Multi-head attention (Vaswani et al., arXiv 1706.03762), by the fused kernel.

    Parameter names are timm's: ``qkv`` and ``proj``, and ``gate`` where there is one.
    """

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.dim, 3 * config.dim)
        self.proj = nn.Linear(config.dim, config.dim)
        self.gate: SigmoidGate | None = None
        if config.gate is not None:
            self.gate = SigmoidGate(config.dim, heads=config.heads, config=config.gate)

    def forward(self, x: Tensor) -> Tensor:
        """Attention over the block's normalised input, ``(B, N, dim)`` to ``(B, N, dim)``."""
        q, k, v = self._project(x)
        v = apply_gate(self.gate, "value", v, x)
        y = functional.scaled_dot_product_attention(q, k, v)
        y = apply_gate(self.gate, "sdpa", y, x)
        out: Tensor = self.proj(y.transpose(1, 2).flatten(2))
        return out

    def weights(self, x: Tensor) -> Tensor:
        """The attention weights ``(B, heads, queries, keys)`` that the fused kernel never forms."""
        q, k, _ = self._project(x)
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
        return torch.softmax(scores, dim=-1)

    def _project(self, x: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values, each ``(B, heads, N, head_dim)``."""
        batch, tokens, _ = x.shape
        joined: Tensor = self.qkv(x)
        split = joined.reshape(batch, tokens, 3, self.heads, -1)
        return split.permute(2, 0, 3, 1, 4).unbind(0)
