"""Gates inside attention (Qiu et al., arXiv 2505.06708): ``Y * sigmoid(X W + b)``."""

from torch import Tensor, nn

from model.config import GateConfig, GatePosition, ViTConfig


class SigmoidGate(nn.Linear):
    """One gate value in (0, 1) per channel, in the layout of the heads.

    The values come as ``(B, heads, N, head_dim)``, ready to multiply whatever stands in that layout
    (values, the output of attention). A coarser gate is the same shape with a 1 in it.
    The parameters are a plain linear map's, ``gate.weight`` and ``gate.bias``.
    """

    def __init__(self, dim: int, *, heads: int, config: GateConfig) -> None:
        super().__init__(dim, dim, bias=config.bias)
        self.heads = heads
        self.position = config.position

    def forward(self, x: Tensor) -> Tensor:
        """Gate values of the block's normalised input, ``(B, N, dim)``, split into heads."""
        batch, tokens, _ = x.shape
        values = super().forward(x).sigmoid()
        return values.reshape(batch, tokens, self.heads, -1).transpose(1, 2)


def apply_gate(gate: SigmoidGate | None, position: GatePosition, y: Tensor, x: Tensor) -> Tensor:
    """``y`` gated by ``x`` if the gate stands at this position, else ``y`` itself."""
    if gate is None or gate.position != position:
        return y
    values: Tensor = gate(x)
    return y * values


def build_gate(config: ViTConfig) -> SigmoidGate | None:
    """The configured gate, or None."""
    if config.gate is None:
        return None
    return SigmoidGate(config.dim, heads=config.heads, config=config.gate)
