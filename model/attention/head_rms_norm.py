"""Softmax attention whose heads' outputs are normalised."""

from torch import Tensor, nn

from model.attention.softmax import SoftmaxAttention
from model.config import ViTConfig


class HeadRMSNormAttention(SoftmaxAttention):
    """``RMSNorm(softmax(q k^T / sqrt(d)) v)``, each head and token by itself.

    A control of Qiu et al., arXiv 2505.06708, table 3: a nonlinearity between value and output
    projection that is no gate. All heads share the d scales (Zhang and Sennrich, arXiv 1910.07467).
    """

    def __init__(self, config: ViTConfig) -> None:
        super().__init__(config)
        self.norm = nn.RMSNorm(config.head_dim, eps=1e-6)

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See `DotProductAttention.mix`."""
        normed: Tensor = self.norm(super().mix(q, k, v))
        return normed
