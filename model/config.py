"""Every choice of the architecture, checked on creation; free of torch."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

GatePosition = Literal["sdpa", "value"]
AttentionName = Literal["softmax"]
_OF_A_PACKAGE = re.compile(r"[A-Za-z_]\w*\.[A-Za-z_]\w*", re.ASCII)
"""A variant of a user's own package; not looked up here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateConfig:
    """A sigmoid gate inside attention: ``Y * sigmoid(X W + b)`` (Qiu et al., arXiv 2505.06708).

    X is the block's pre-normalised input, ``(B, N, dim)``; one gate value per channel.

    Attributes:
        position: ``sdpa`` gates the output of attention before the output projection (their G1),
            ``value`` gates the value projection (their G2).
        bias: whether the gate's linear map has a bias.
        init_std: standard deviation of the normal initialisation of W.
        bias_init: initial value of the bias; 0 opens every gate half.
    """

    position: GatePosition = "sdpa"
    bias: bool = True
    init_std: float = 0.02
    bias_init: float = 0.0

    def __post_init__(self) -> None:
        _one_of("gate.position", self.position, get_args(GatePosition))
        if self.init_std < 0:
            raise ValueError(f"gate.init_std is {self.init_std}; it must not be negative")
        if self.bias_init and not self.bias:
            raise ValueError(f"gate.bias_init is {self.bias_init}, but gate.bias is false")


@dataclass(frozen=True, slots=True, kw_only=True)
class ViTConfig:
    """A vision transformer in DeiT III's layout: position embedding on patches only.

    Attributes:
        img_size: side of the square input, pixels.
        patch_size: side of a patch, pixels; divides ``img_size``.
        in_chans: image channels, 1 or 3.
        num_classes: outputs of the head.
        dim: token width; a multiple of ``heads``.
        depth: number of blocks.
        heads: attention heads per block.
        mlp_ratio: hidden width of the MLP over ``dim``.
        registers: learnable tokens beside the class token (Darcet et al., arXiv 2309.16588).
        attention: name of the attention variant, a row of ``model.variants``; or
            ``package.row`` of a user's own package.
        gate: the gate inside attention, or None.
        layer_scale: initial value of LayerScale, or None for none.
        drop_path: probability of dropping a residual branch, the same in every block.
    """

    img_size: int = 224
    patch_size: int = 16
    in_chans: int = 3
    num_classes: int = 100
    dim: int = 384
    depth: int = 12
    heads: int = 6
    mlp_ratio: float = 4.0
    registers: int = 0
    attention: str = "softmax"
    gate: GateConfig | None = None
    layer_scale: float | None = 1e-4
    drop_path: float = 0.05

    def __post_init__(self) -> None:
        for name in ("img_size", "patch_size", "num_classes", "dim", "depth", "heads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not _OF_A_PACKAGE.fullmatch(self.attention):
            _one_of("attention", self.attention, get_args(AttentionName))
        _one_of("in_chans", self.in_chans, (1, 3))
        if self.registers < 0:
            raise ValueError(f"registers is {self.registers}; it must not be negative")
        if self.img_size % self.patch_size:
            raise ValueError(
                f"img_size {self.img_size} is not a multiple of patch_size {self.patch_size}"
            )
        if self.dim % self.heads:
            raise ValueError(f"dim {self.dim} is not a multiple of heads {self.heads}")
        if self.mlp_ratio <= 0:
            raise ValueError(f"mlp_ratio is {self.mlp_ratio}; it must be above 0")
        if self.layer_scale is not None and self.layer_scale <= 0:
            raise ValueError(f"layer_scale is {self.layer_scale}; it must be above 0, or null")
        if not 0 <= self.drop_path < 1:
            raise ValueError(f"drop_path is {self.drop_path}; it must be in [0, 1)")

    @property
    def patches(self) -> int:
        """Number of patch tokens."""
        return (self.img_size // self.patch_size) ** 2

    @property
    def tokens(self) -> int:
        """Length of the token sequence: class token, registers, patches."""
        return 1 + self.registers + self.patches

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.dim // self.heads

    @property
    def mlp_dim(self) -> int:
        """Hidden width of the MLP."""
        return int(self.dim * self.mlp_ratio)


def _one_of(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        words = ", ".join(map(str, allowed))
        raise ValueError(f"{name} is {value!r}; allowed: {words}")
