"""Parameters and multiply-adds of an architecture, exact, from its configuration alone.

Convention: one MAC is one multiply-add of a matrix product or a convolution, for one image. Norms,
softmax, activations and elementwise products count nothing, so FLOPs in the sense of
``torch.utils.flop_counter`` are exactly twice these numbers. With P patches, N tokens, width D, MLP
width M, h heads, depth L and C classes, the forward pass of the softmax transformer is::

    P D c p^2  +  L (4 N D^2 + 2 N^2 D  +  2 N D M  [+ a gate])  +  D C

where a gate of tokens costs N D per value that a token has: N D^2 elementwise, N D h headwise,
N D D/h shared by the heads. The head reads the class token only. `model.variants` has the share of
attention for every variant, as its class computes it in training.

What this says and what not: in ViT-S/16 at 224 pixels an elementwise gate costs 7.58 % more, as
much as 13 to 14 registers, a headwise one 0.12 %, a fifth of one register. MACs are not time: what
counts nothing here still moves memory, so measure time beside them.
"""

from dataclasses import replace

from model.config import ViTConfig
from model.variants import VARIANTS, variant_named


def count_macs(config: ViTConfig) -> int:
    """Multiply-adds of one image's forward pass."""
    return sum(macs_by_part(config).values())


def count_training_macs(config: ViTConfig) -> int:
    """Multiply-adds of one image's forward and backward pass.

    Backward, each product costs twice: once for either factor's gradient; once where a factor has
    none, as the images. 2.987 times `count_macs` for ViT-S/16. What a fused kernel or a checkpoint
    computes again is not counted.
    """
    fixed = config.depth * variant_named(config.attention).fixed_macs(config)
    return 3 * count_macs(config) - macs_by_part(config)["patch_embed"] - fixed


def count_training_flops(config: ViTConfig) -> float:
    """Floating-point operations of one image's forward and backward pass: two a multiply-add.

    What activation checkpointing computes again is not counted, as in the model FLOPs utilisation
    of PaLM (Chowdhery et al., arXiv 2204.02311, appendix B).
    """
    return 2.0 * count_training_macs(config)


def count_params(config: ViTConfig) -> int:
    """Number of trainable scalars."""
    return sum(params_by_part(config).values())


def macs_by_part(config: ViTConfig) -> dict[str, int]:
    """Multiply-adds of one image's forward pass, by part; blocks are summed over depth."""
    tokens, dim, depth = config.tokens, config.dim, config.depth
    return {
        "patch_embed": config.patches * dim * _patch_values(config),
        "attention": depth * variant_named(config.attention).macs(config),
        "gate": depth * _gate_macs(config),
        "mlp": depth * 2 * tokens * dim * config.mlp_dim,
        "head": dim * config.num_classes,
    }


def params_by_part(config: ViTConfig) -> dict[str, int]:
    """Trainable scalars by part; blocks are summed over depth."""
    dim, depth, hidden = config.dim, config.depth, config.mlp_dim
    return {
        "patch_embed": dim * _patch_values(config) + dim,
        "tokens": (1 + config.registers) * dim,
        "pos_embed": config.patches * dim,
        "attention": depth * variant_named(config.attention).params(config),
        "gate": depth * _gate_params(config),
        "mlp": depth * (2 * dim * hidden + hidden + dim),
        "norms": (2 * depth + 1) * 2 * dim,
        "layer_scale": 0 if config.layer_scale is None else depth * 2 * dim,
        "head": dim * config.num_classes + config.num_classes,
    }


def _gate_macs(config: ViTConfig) -> int:
    if config.gate is None or config.gate.input == "none":
        return 0
    rows, columns = config.gate.shape(config.heads, config.head_dim)
    read = config.head_dim if config.gate.input == "head_slice" else config.dim
    return config.tokens * read * rows * columns


def _gate_params(config: ViTConfig) -> int:
    if config.gate is None:
        return 0
    rows, columns = config.gate.shape(config.heads, config.head_dim)
    weights = _gate_macs(config) // config.tokens
    return weights + config.gate.bias * rows * columns


def _patch_values(config: ViTConfig) -> int:
    return config.in_chans * config.patch_size**2


def vanilla(config: ViTConfig) -> ViTConfig:
    """The plain softmax transformer of the same dim, depth and mlp_ratio.

    Costs are stated against it. Size is no part of an arm: a plain model with a wider MLP, such as
    a control with as many parameters as a gate adds, is its own vanilla and costs 0 % more.
    """
    plain = ViTConfig()
    settings = {name for variant in VARIANTS.values() for name in variant.settings}
    own = {name: getattr(plain, name) for name in settings}
    return replace(config, registers=0, attention="softmax", gate=None, **own)
