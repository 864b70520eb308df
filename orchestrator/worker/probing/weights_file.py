"""The weights in a file of a training program, and which weights they are."""

import hashlib
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from model.vit import ViT
from orchestrator.errors import DataError

NESTED = ("state_dict_ema", "model_ema", "state_dict", "model")
"""Under which a training program may keep the weights in its checkpoint, best first."""


def read_weights(file: Path) -> dict[str, Tensor]:
    """The tensors by name in a file of PyTorch or safetensors; only data is read, never code.

    Raises:
        DataError: it cannot be read, or holds no weights.
    """
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file  # noqa: PLC0415 - rarely needed

            found: Any = load_file(file)
        else:
            found = _torch_load(file)
    except Exception as error:  # noqa: BLE001  # torch and safetensors meet damage with any of theirs
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"The weights {file} cannot be read: {reason}. Give a file that torch.save or "
            "safetensors wrote, with nothing but tensors, numbers and texts in it."
        ) from None
    for key in NESTED:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
            break
    if not isinstance(found, dict) or not any(isinstance(v, Tensor) for v in found.values()):
        raise DataError(f"{file} holds no weights: no tensors by name, nor under {NESTED}.")
    tensors = {str(name): value for name, value in found.items() if isinstance(value, Tensor)}
    return {name.removeprefix("module."): value for name, value in tensors.items()}


def _torch_load(file: Path) -> Any:
    """As DeiT's program writes them, checkpoints hold their options, which are harmless."""
    with torch.serialization.safe_globals([Namespace]):
        return torch.load(file, map_location="cpu", weights_only=True)


def weights_hash(model: VisionTransformer) -> str:
    """SHA-256 over name, type, shape and bytes of every tensor of the model, in order of names."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def load_weights(model: VisionTransformer, state: Mapping[str, Tensor], file: Path) -> None:
    """Put the tensors of ``file`` into the model.

    Raises:
        DataError: they are of another architecture.
    """
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        faults = [line.strip() for line in str(error).splitlines()[1:]]
        shown = " ".join(faults)[:500] or str(error)
        raise DataError(
            f"The weights {file} are of another architecture than {_described(model)}: {shown}"
        ) from None


def _described(model: VisionTransformer) -> str:
    kind = "the job's" if isinstance(model, ViT) else "the named one"
    blocks, registers = len(model.blocks), model.num_reg_tokens
    return f"{kind} ({blocks} blocks, width {model.embed_dim}, {registers} registers)"
