"""Parameters and multiply-adds of an architecture, exact, from its configuration alone.

Convention: one MAC is one multiply-add of a matrix product or a convolution, for the forward pass
of one image. Norms, softmax, activations and elementwise products count nothing, so FLOPs in the
sense of ``torch.utils.flop_counter`` are exactly twice these numbers. With P patches, N tokens,
width D, MLP width M, depth L and C classes::

    P D c p^2  +  L (4 N D^2 + 2 N^2 D  +  2 N D M  [+ N D^2 for a gate])  +  D C

The head reads the class token only.
"""

from dataclasses import replace

from model.config import ViTConfig
from model.variants import variant_named


def count_macs(config: ViTConfig) -> int:
    """Multiply-adds of one image's forward pass."""
    return sum(macs_by_part(config).values())


def count_params(config: ViTConfig) -> int:
    """Number of trainable scalars."""
    return sum(params_by_part(config).values())


def macs_by_part(config: ViTConfig) -> dict[str, int]:
    """Multiply-adds of one image's forward pass, by part; blocks are summed over depth."""
    tokens, dim, depth = config.tokens, config.dim, config.depth
    return {
        "patch_embed": config.patches * dim * _patch_values(config),
        "attention": depth * variant_named(config.attention).macs(config),
        "gate": depth * tokens * dim**2 if config.gate else 0,
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
        "gate": depth * (dim**2 + dim * config.gate.bias) if config.gate else 0,
        "mlp": depth * (2 * dim * hidden + hidden + dim),
        "norms": (2 * depth + 1) * 2 * dim,
        "layer_scale": 0 if config.layer_scale is None else depth * 2 * dim,
        "head": dim * config.num_classes + config.num_classes,
    }


def _patch_values(config: ViTConfig) -> int:
    return config.in_chans * config.patch_size**2


def vanilla(config: ViTConfig) -> ViTConfig:
    """The plain softmax transformer of the same size, against which costs are stated."""
    return replace(config, registers=0, attention="softmax", gate=None)
