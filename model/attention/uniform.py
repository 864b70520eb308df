"""A negative control: every token attends to all tokens alike."""

from torch import Tensor, nn

from model.attention.base import Attention, Scored, split
from model.attention.gates import apply_gate
from model.config import ViTConfig


class UniformAttention(Attention):
    """Weights 1 / N: each head gives every query the mean of its values.

    Mixing without selection, as in Lee-Thorp et al.'s and Xue et al.'s controls (arXiv 2105.03824;
    2510.11602). There are no queries and keys, only the values' projection ``v``.
    """

    def __init__(self, config: ViTConfig) -> None:
        super().__init__(config)
        self.v = nn.Linear(config.dim, config.dim)

    def attend(self, x: Tensor) -> Tensor:
        """See `Attention.attend`."""
        values = self.values(x)
        return values.mean(dim=2, keepdim=True).expand_as(values)

    def score(self, x: Tensor) -> Scored:
        """See `Attention.score`."""
        values = self.values(x)
        batch, heads, tokens, _ = values.shape
        weights = values.new_full((batch, heads, tokens, tokens), 1 / tokens)
        return Scored(weights=weights, logits=None, values=values)

    def values(self, x: Tensor) -> Tensor:
        """``(B, h, N, d)``, gated where the gate stands on values."""
        return apply_gate(self.gate, "value", split(self.v(x), self.heads), x)
