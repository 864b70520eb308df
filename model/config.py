"""Every choice of the architecture, checked on creation; free of torch."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from model.variants import VARIANTS, Variant

GatePosition = Literal["sdpa", "value", "key", "query", "output"]
GateGranularity = Literal["elementwise", "headwise", "head_shared"]
GateActivation = Literal["sigmoid", "silu", "ns_sigmoid"]
GateMode = Literal["multiply", "add"]
GateInput = Literal["token", "head_slice", "none"]

_GATE_CHOICES: Mapping[str, Any] = {
    "position": GatePosition,
    "granularity": GateGranularity,
    "activation": GateActivation,
    "mode": GateMode,
    "input": GateInput,
}
_INIT_STD = 0.02
_CLIP_ALPHA = 1.0
_OWN_VARIANT = re.compile(r"[^\W\d]\w*\.[^\W\d]\w*")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateConfig:
    """A gate inside attention: ``Y * f(X W + b)`` or ``Y + f(X W + b)``.

    X is the block's pre-normalised input, ``(B, N, dim)`` (Qiu et al., arXiv 2505.06708).

    Attributes:
        position: what Y is: ``sdpa`` the heads' outputs before the output projection (their G1),
            ``value``, ``key``, ``query`` the projections (G2, G3, G4), ``output`` what the output
            projection gives (G5).
        granularity: one gate value per channel (``elementwise``), one per head (``headwise``), or
            one per channel of a head, the same for all heads (``head_shared``: a single linear map
            from dim to head_dim, where the paper averages the scores of all heads).
        activation: f. ``ns_sigmoid`` is 0.5 + 0.5 sigmoid, in [0.5, 1]: a gate that cannot shut.
        mode: whether the values multiply Y or are added to it.
        input: ``token`` maps the whole token. ``head_slice`` gives each head a linear map from its
            own slice of the token to one value (Bondarenko et al., arXiv 2306.12929, sec. 4.2).
            ``none`` has no X and no W: values f(b), the same for every image and token.
        bias: whether there is a b.
        init_std: standard deviation of the normal initialisation of W.
        bias_init: initial value of b. It sets the gate's mean at the start, exactly where X W is 0
            and nearly so at init_std .02: sigmoid(b), so 0 opens a sigmoid gate half, 2.197 to .9,
            -2.197 to .1, in general ln(m / (1 - m)) to m; ``ns_sigmoid`` at 0 to .75; ``silu``,
            z sigmoid(z), at 0 not at all and at 1.278 fully.
    """

    position: GatePosition = "sdpa"
    granularity: GateGranularity = "elementwise"
    activation: GateActivation = "sigmoid"
    mode: GateMode = "multiply"
    input: GateInput = "token"
    bias: bool = True
    init_std: float = _INIT_STD
    bias_init: float = 0.0

    def __post_init__(self) -> None:
        for name, choices in _GATE_CHOICES.items():
            _one_of(f"gate.{name}", getattr(self, name), get_args(choices))
        if self.init_std < 0:
            raise ValueError(f"gate.init_std is {self.init_std}; it must not be negative")
        if self.bias_init and not self.bias:
            raise ValueError(f"gate.bias_init is {self.bias_init}, but gate.bias is false")
        if self.position == "output":
            allowed, why = ("elementwise",), "no heads are left at gate.position output"
            _one_of("gate.granularity", self.granularity, allowed, why)
        if self.input == "head_slice":
            allowed, why = ("headwise",), "gate.input head_slice gives one value per head"
            _one_of("gate.granularity", self.granularity, allowed, why)
        if self.input == "none":
            _one_of("gate.bias", self.bias, (True,), "the bias is all that gate.input none has")
            why = "gate.input none has no weights to draw"
            _one_of("gate.init_std", self.init_std, (_INIT_STD,), why)

    def shape(self, heads: int, head_dim: int) -> tuple[int, int]:
        """How many values a token has: heads (or 1) times channels of a head (or 1)."""
        rows = 1 if self.granularity == "head_shared" else heads
        return rows, 1 if self.granularity == "headwise" else head_dim


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
        attention: name of the attention variant: a row of ``model.variants``, or ``package.row``
            for a row of the mapping ``VARIANTS`` of a Python package of one's own. That package is
            looked up where the variant is used, so that a configuration can be read without it.
        clip_alpha: of ``clipped_softmax`` alone: a weight below about alpha / N, alpha times what
            uniform attention gives, becomes 0. See its class before choosing more than 1.
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
    clip_alpha: float = _CLIP_ALPHA

    def __post_init__(self) -> None:
        for name in ("img_size", "patch_size", "num_classes", "dim", "depth", "heads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        _one_of("in_chans", self.in_chans, (1, 3))
        if self.registers < 0:
            raise ValueError(f"registers is {self.registers}; it must not be negative")
        if self.img_size % self.patch_size:
            raise ValueError(
                f"img_size {self.img_size} is not a multiple of patch_size {self.patch_size}"
            )
        if self.dim % self.heads:
            raise ValueError(f"dim {self.dim} is not a multiple of heads {self.heads}")
        if self.mlp_dim < 1:
            raise ValueError(
                f"mlp_ratio is {self.mlp_ratio}, which leaves the MLP no hidden channel at dim "
                f"{self.dim}; it must be at least {1 / self.dim:.3g}"
            )
        if self.layer_scale is not None and self.layer_scale <= 0:
            raise ValueError(f"layer_scale is {self.layer_scale}; it must be above 0, or null")
        if self.clip_alpha <= 0:
            raise ValueError(f"clip_alpha is {self.clip_alpha}; it must be above 0")
        if not 0 <= self.drop_path < 1:
            raise ValueError(f"drop_path is {self.drop_path}; it must be in [0, 1)")
        self._check_attention()

    def _check_attention(self) -> None:
        if self.attention in VARIANTS:
            check_fit(self, VARIANTS[self.attention])
        elif not _OWN_VARIANT.fullmatch(self.attention):
            raise ValueError(
                f"attention is {self.attention!r}; allowed: {', '.join(VARIANTS)}, or package.row "
                "for a row of a package of your own"
            )

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


def check_fit(config: ViTConfig, variant: Variant) -> None:
    """Refuse a configuration that asks of its attention what the variant does not have.

    Raises:
        ValueError: a gate on queries or keys that are not there; a setting of another variant; a
            head that cannot be halved.
    """
    name, gate = config.attention, config.gate
    if gate and gate.position in ("query", "key") and not variant.scored:
        why = f"attention {name} has neither queries nor keys"
        _one_of("gate.position", gate.position, ("sdpa", "value", "output"), why)
    if "clip_alpha" not in variant.settings:
        why = f"attention {name} clips nothing"
        _one_of("clip_alpha", config.clip_alpha, (_CLIP_ALPHA,), why)
    if variant.halves_heads and config.head_dim % 2:
        raise ValueError(
            f"dim / heads is {config.head_dim}; attention {name} halves heads, so it must be even"
        )


def _one_of(name: str, value: object, allowed: tuple[object, ...], why: str = "") -> None:
    if value not in allowed:
        words = ", ".join(map(str, allowed))
        reason = f"{why}; " if why else ""
        raise ValueError(f"{name} is {value!r}; {reason}allowed: {words}")
