"""How plain timm builds a model of ours, so that weights can be used without this program."""

from typing import Any

from model.config import GateConfig, ViTConfig

TIMMS_GATE = GateConfig()
"""What timm's attention calls ``gated``; how its parameters start does not matter."""


def timm_arguments(config: ViTConfig) -> dict[str, Any]:
    """What timm's ``VisionTransformer`` is built with, to take our weights and give our logits.

    A gate is not among them: see `timm_code`.

    Raises:
        ValueError: timm has no such model.
    """
    if fault := _beyond_timm(config):
        raise ValueError(fault)
    return {
        "img_size": config.img_size,
        "patch_size": config.patch_size,
        "in_chans": config.in_chans,
        "num_classes": config.num_classes,
        "embed_dim": config.dim,
        "depth": config.depth,
        "num_heads": config.heads,
        "mlp_ratio": config.mlp_ratio,
        "init_values": config.layer_scale,
        "reg_tokens": config.registers,
        "no_embed_class": True,
    }


def timm_code(config: ViTConfig, file: str) -> list[str]:
    """Lines of Python that build ``model`` and load ``file``, of PyTorch or safetensors, into it.

    timm's own constructor takes no gate; an attention that is derived from timm's brings it.

    Raises:
        ValueError: timm has no such model.
    """
    told = ", ".join(f"{name}={value!r}" for name, value in timm_arguments(config).items())
    lines = ["from timm.models.vision_transformer import VisionTransformer"]
    if config.gate is not None:
        lines += [
            "from timm.layers.attention import Attention",
            "class Gated(Attention):",
            "    def __init__(self, *args, **more): super().__init__(*args, gated=True, **more)",
        ]
        told += ", attn_layer=Gated"
    return [*lines, f"model = VisionTransformer({told})", *_load(file)]


def our_code(config: ViTConfig, file: str) -> list[str]:
    """As `timm_code`, with this program's package ``model``; it has every architecture."""
    lines = ["from model.config import GateConfig, ViTConfig", "from model.vit import build_vit"]
    return [*lines, f"model = build_vit({config!r})", *_load(file)]


def _load(file: str) -> list[str]:
    if file.endswith(".safetensors"):
        return [
            "from safetensors.torch import load_file",
            f"model.load_state_dict(load_file({file!r}))",
        ]
    return ["import torch", f"model.load_state_dict(torch.load({file!r}, weights_only=True))"]


def _beyond_timm(config: ViTConfig) -> str | None:
    """What of a model timm does not have, or None."""
    if config.attention != "softmax":
        return f"timm has no attention {config.attention}; it has softmax"
    gate = config.gate
    if gate is None:
        return None
    for name in ("position", "granularity", "activation", "mode", "input", "bias"):
        ours, theirs = getattr(gate, name), getattr(TIMMS_GATE, name)
        if ours != theirs:
            return f"timm has no gate with {name} {ours}; its only one has {name} {theirs}"
    return None
