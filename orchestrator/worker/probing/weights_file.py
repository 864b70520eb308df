"""The weights in a file of a training program, and which weights they are."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from model.pretrained import read_checkpoint
from model.vit import ViT
from orchestrator.errors import DataError


def read_weights(file: Path) -> dict[str, Tensor]:
    """The tensors by name in a file of PyTorch or safetensors; only data is read, never code.

    Raises:
        DataError: it cannot be read, or holds no weights.
    """
    try:
        return read_checkpoint(file)
    except (OSError, ValueError) as error:
        raise DataError(
            f"The weights {file} cannot be read: {str(error).rstrip('.')}. Give a file that "
            "torch.save or safetensors wrote, with nothing but tensors, numbers and texts in it."
        ) from None


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
