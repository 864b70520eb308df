"""Gates inside attention, ``Y * f(X W + b)`` and their kin (Qiu et al., arXiv 2505.06708)."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.config import GateActivation, GateConfig, GateInput, GatePosition, ViTConfig

ACTIVATIONS: Mapping[GateActivation, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "ns_sigmoid": lambda logits: 0.5 + 0.5 * logits.sigmoid(),
}


class Gate(nn.Module, ABC):
    """Gate values in the layout of the heads, and how they act on what they gate.

    Parameters are named as a linear map's, ``gate.weight`` and ``gate.bias``.
    """

    def __init__(self, config: ViTConfig, gate: GateConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.shape = gate.shape(config.heads, config.head_dim)
        self.position, self.mode = gate.position, gate.mode
        self.activation = gate.activation

    @abstractmethod
    def logits(self, x: Tensor) -> Tensor:
        """``(B, h or 1, N, d or 1)`` of the block's normalised input ``(B, N, dim)``."""

    def forward(self, x: Tensor) -> Tensor:
        """The gate's values ``(B, h or 1, N, d or 1)``, which fit whatever is split into heads."""
        return ACTIVATIONS[self.activation](self.logits(x))

    def act_on(self, y: Tensor, x: Tensor) -> Tensor:
        """``y``, ``(B, h, N, d)``, gated by ``x``."""
        values: Tensor = self(x)
        return y * values if self.mode == "multiply" else y + values


class TokenGate(Gate):
    """A linear map of the whole token: to each channel, to each head, or to one head's channels."""

    def __init__(self, config: ViTConfig, gate: GateConfig) -> None:
        super().__init__(config, gate)
        rows, columns = self.shape
        linear = nn.Linear(config.dim, rows * columns, bias=gate.bias)
        self.weight, self.bias = linear.weight, linear.bias

    def logits(self, x: Tensor) -> Tensor:
        """See `Gate.logits`."""
        values = F.linear(x, self.weight, self.bias)
        return values.reshape(*x.shape[:2], *self.shape).transpose(1, 2)


class HeadSliceGate(Gate):
    """One value per head, from the head's own d channels of the token.

    Bondarenko et al., arXiv 2306.12929, section 4.2: the linear map of each head is its own, and
    is shared by all tokens.
    """

    def __init__(self, config: ViTConfig, gate: GateConfig) -> None:
        super().__init__(config, gate)
        linear = nn.Linear(config.head_dim, config.heads, bias=gate.bias)
        self.weight, self.bias = linear.weight, linear.bias

    def logits(self, x: Tensor) -> Tensor:
        """See `Gate.logits`."""
        slices = x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)
        values = slices @ self.weight[:, :, None]
        return values if self.bias is None else values + self.bias[:, None, None]


class ConstantGate(Gate):
    """Values that depend on no input: one learned scalar for each channel, head or head's channel.

    The paper's input-independent gate; its scalars start at ``bias_init``.
    """

    def __init__(self, config: ViTConfig, gate: GateConfig) -> None:
        super().__init__(config, gate)
        rows, columns = self.shape
        self.bias = nn.Parameter(torch.zeros(rows * columns))

    def logits(self, x: Tensor) -> Tensor:
        """See `Gate.logits`."""
        rows, columns = self.shape
        values = self.bias.reshape(rows, 1, columns).to(x.dtype)
        return values.expand(len(x), rows, x.shape[1], columns)


_BY_INPUT: Mapping[GateInput, type[Gate]] = {
    "token": TokenGate,
    "head_slice": HeadSliceGate,
    "none": ConstantGate,
}


def build_gate(config: ViTConfig) -> Gate | None:
    """The configured gate, or None."""
    return None if config.gate is None else _BY_INPUT[config.gate.input](config, config.gate)


def apply_gate(gate: Gate | None, position: GatePosition, y: Tensor, x: Tensor) -> Tensor:
    """``y``, ``(B, h, N, d)``, gated by ``x`` if the gate stands at this position, else ``y``."""
    if gate is None or gate.position != position:
        return y
    return gate.act_on(y, x)
