"""Softmax attention whose small weights are exactly 0."""

from torch import Tensor

from model.attention.base import DotProductAttention
from model.config import ViTConfig


class ClippedSoftmaxAttention(DotProductAttention):
    """``clip((zeta - gamma) softmax(s) + gamma, 0, 1)`` of the scores s, times the values.

    Bondarenko et al., arXiv 2306.12929, eq. 4, with zeta = 1 and gamma = -alpha / N for N tokens
    (their section 5.2): a head needs no outliers to put a weight at 0. Weights of a row sum to 1
    or less. There is no fused kernel; the weights are formed.
    """

    def __init__(self, config: ViTConfig) -> None:
        super().__init__(config)
        self.alpha = config.clip_alpha

    def normalise(self, logits: Tensor) -> Tensor:
        """See `DotProductAttention.normalise`."""
        gamma = -self.alpha / logits.shape[-1]
        return ((1 - gamma) * logits.softmax(dim=-1) + gamma).clamp(0, 1)
