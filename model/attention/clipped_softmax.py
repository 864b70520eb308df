"""Softmax attention whose small weights are exactly 0."""

from torch import Tensor

from model.attention.base import DotProductAttention
from model.config import ViTConfig


class ClippedSoftmaxAttention(DotProductAttention):
    """``clip((zeta - gamma) softmax(s) + gamma, 0, 1)`` of the scores s, times the values.

    Bondarenko et al., arXiv 2306.12929, eq. 4, with zeta = 1 and gamma = -alpha / N for N tokens
    (their section 5.2): a head needs no outliers to put a weight at 0. Weights of a row sum to 1
    or less. There is no fused kernel; the weights are formed.

    A weight that is clipped passes no gradient. They recommend alpha in [2, 4], but with DeiT's
    initialisation attention starts so close to uniform (scores of deviation 0.15 in ViT-S) that
    from alpha = 2 on practically every weight is clipped in every block: attention gives 0, and
    queries, keys and values never learn. The default of 1 clips half of the weights at the start;
    below 1 no head could ever shut itself.
    """

    def __init__(self, config: ViTConfig) -> None:
        super().__init__(config)
        self.alpha = config.clip_alpha

    def normalise(self, logits: Tensor) -> Tensor:
        """See `DotProductAttention.normalise`."""
        gamma = -self.alpha / logits.shape[-1]
        return ((1 - gamma) * logits.softmax(dim=-1) + gamma).clamp(0, 1)
