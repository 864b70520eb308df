"""Attention without competition between keys."""

import math

from torch import Tensor

from model.attention.base import DotProductAttention


class SigmoidAttention(DotProductAttention):
    """``sigmoid(q k^T / sqrt(d) + b) v`` with b = -log N for N tokens.

    Ramapuram et al., arXiv 2409.04431, eqs. 3 and 4: with this b a row starts near a sum of 1, as
    it does under softmax. They train it with LayerScale. No kernel of PyTorch fuses it; the weights
    are formed.
    """

    def normalise(self, logits: Tensor) -> Tensor:
        """See `DotProductAttention.normalise`."""
        return (logits - math.log(logits.shape[-1])).sigmoid()
