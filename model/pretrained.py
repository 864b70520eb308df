"""Weights that were trained elsewhere: checkpoints of timm's and of DeiT's, into our model.

Two layouts differ from ours and are brought over exactly. DeiT III's repository calls LayerScale's
gains ``gamma_1`` and ``gamma_2``, timm ``ls1.gamma`` and ``ls2.gamma``. A plain timm model has
position embeddings for its class token and registers too; since they are added to tokens that are
the same for every image, adding them to the tokens themselves is the same.
"""

import re
from argparse import Namespace
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from model.config import ViTConfig
from model.flops import vanilla
from model.vit import ViT

NESTS = ("state_dict_ema", "state_dict", "model", "model_ema")
"""Under which a file may keep the model among other things. The first counts: timm's programs
evaluate averaged weights where there are any, DeiT's the raw ones."""
RENAMES = ((re.compile(r"\.gamma_([12])$"), r".ls\1.gamma"),)
"""How names of DeiT III's repository read in timm, and here."""
HEAD = ("head.weight", "head.bias")
NAMED = 4
"""So many entries are named in a message."""
_HINTS = (
    (r"^head\.", "num_classes decides the head; with_head=False leaves it as it is"),
    (r"^reg_token$", "a checkpoint with registers needs a model with as many"),
    (
        r"\.ls[12]\.gamma$",
        "layer_scale is null where a checkpoint has no LayerScale, and only there",
    ),
    (r"^blocks\.\d+\.attn\.", "dim and heads decide attention, and its variant has to have qkv"),
    (r"", "dim, depth, mlp_ratio, patch_size and in_chans decide the rest"),
)
"""By entry, what to change in the configuration; the first that fits is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What of a checkpoint and of a model found no counterpart; both sorted.

    Attributes:
        missing: parameters that kept their values: what the vanilla model lacks (gates, registers,
            a variant's own), and a head that was left out.
        unexpected: entries that were not used: a head that was left out.
    """

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]


def read_checkpoint(path: Path | str) -> dict[str, Tensor]:
    """The tensors by name in a file of PyTorch or safetensors, on the CPU; no code in it is run.

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError: it is damaged, holds more than tensors and plain values, or no model.
    """
    path = Path(path)
    try:
        content = load_file(path) if path.suffix == ".safetensors" else _torch_load(path)
    except OSError:
        raise
    except UnpicklingError as error:
        raise ValueError(
            f"{path} holds Python objects beside tensors, and is not read, since they could run "
            f"code. Save its tensors alone, and load that file. ({str(error).splitlines()[0]})"
        ) from error
    except Exception as error:  # torch and safetensors meet damage with any of theirs
        raise ValueError(f"{path} cannot be read: {error or type(error).__name__}") from error
    return _unnested(content)


def _torch_load(path: Path) -> Any:
    """DeiT's program keeps its options beside the model, as a harmless ``Namespace``."""
    with torch.serialization.safe_globals([Namespace]):
        return torch.load(path, map_location="cpu", weights_only=True)


def load_pretrained(model: ViT, checkpoint: Mapping[str, Any], *, with_head: bool = True) -> Loaded:
    """Copy a checkpoint's weights into a model, all of them or, where that is refused, none.

    The logits are then those of the model that the checkpoint is of. What the vanilla model has
    must be in it; what an arm adds keeps its values, and is told.

    Args:
        model: of `build_vit`; a gate, registers, another attention may be added to it.
        checkpoint: names and tensors as timm or DeiT's repository have them, or what holds them
            under a key of `NESTS`.
        with_head: False leaves the head as it is, for a checkpoint of other classes.

    Raises:
        ValueError: something does not fit: an entry that the model has no place for, or of another
            shape; a parameter of the vanilla model that the checkpoint lacks.
    """
    entries = _folded(_renamed(_unnested(checkpoint)), model.config)
    left_out = set() if with_head else {*HEAD}
    used = {name: value for name, value in entries.items() if name not in left_out}
    own = model.state_dict()
    extras = own.keys() - _vanilla_names(model.config) | left_out
    _refuse(_misfits(used, own, optional=extras))
    model.load_state_dict(used, strict=False)
    missing, unexpected = own.keys() - used.keys(), entries.keys() - used.keys()
    return Loaded(missing=tuple(sorted(missing)), unexpected=tuple(sorted(unexpected)))


def _unnested(content: Any) -> dict[str, Tensor]:
    if isinstance(content, Mapping):
        nests = (content.get(nest) for nest in NESTS)
        content = next((nest for nest in nests if nest and isinstance(nest, Mapping)), content)
    if not isinstance(content, Mapping) or not content:
        raise ValueError(f"the checkpoint holds no model, but {_kind(content)}")
    if unnamed := [name for name in content if not isinstance(name, str)]:
        raise ValueError(
            f"the checkpoint's {unnamed[0]!r} is {_kind(unnamed[0])}, no name; a model's tensors "
            "are kept by name"
        )
    strange = [name for name, value in content.items() if not isinstance(value, Tensor)]
    if strange:
        raise ValueError(
            f"the checkpoint's {strange[0]!r} is {_kind(content[strange[0]])}, no tensor; a model "
            f"stands at the top, or under {' or '.join(NESTS)}"
        )
    return {name.removeprefix("module."): value for name, value in content.items()}


def _kind(value: object) -> str:
    return f"an empty {type(value).__name__}" if value == {} else f"a {type(value).__name__}"


def _renamed(entries: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found = {}
    for name, value in entries.items():
        for pattern, ours in RENAMES:
            name = pattern.sub(ours, name)  # noqa: PLW2901 - one rename after the other
        found[name] = value
    return found


def _folded(entries: Mapping[str, Tensor], config: ViTConfig) -> dict[str, Tensor]:
    """With position embeddings of patches alone; those of other tokens are added to the tokens.

    Raises:
        ValueError: there are neither as many rows as patches, nor as patches and prefix tokens.
    """
    if "pos_embed" not in entries:
        return dict(entries)
    positions = entries["pos_embed"]  # (1, rows, dim)
    prefix = {name: entries[name] for name in ("cls_token", "reg_token") if name in entries}
    lengths = [token.shape[1] for token in prefix.values()]
    rows = positions.shape[1]
    if rows == config.patches:
        return dict(entries)
    if rows != config.patches + sum(lengths):
        raise ValueError(
            f"the checkpoint's pos_embed has {rows} rows; img_size {config.img_size} with "
            f"patch_size {config.patch_size} has {config.patches} patches, so it must be "
            f"{config.patches}, or {config.patches + sum(lengths)} with the {sum(lengths)} tokens "
            "before them. Position embeddings are not resized: build the model at the img_size "
            "that the checkpoint was trained at"
        )
    *parts, patches = positions.split_with_sizes([*lengths, config.patches], dim=1)
    tokens = {name: prefix[name] + part for name, part in zip(prefix, parts, strict=True)}
    return {**entries, **tokens, "pos_embed": patches}


def _vanilla_names(config: ViTConfig) -> Collection[str]:
    with torch.device("meta"):
        return ViT(vanilla(config)).state_dict().keys()


def _misfits(
    used: Mapping[str, Tensor], own: Mapping[str, Tensor], *, optional: Collection[str]
) -> Iterator[tuple[str, str]]:
    """By kind of fault, the entries that have it."""
    for name in sorted(used.keys() - own.keys()):
        yield "the model has no place for", name
    for name in sorted(own.keys() - used.keys() - set(optional)):
        yield "the checkpoint lacks", name
    for name in sorted(used.keys() & own.keys()):
        theirs, ours = (tuple(tensor.shape) for tensor in (used[name], own[name]))
        if theirs != ours:
            yield f"the shape is {theirs} in the checkpoint and {ours} in the model of", name


def _refuse(misfits: Iterator[tuple[str, str]]) -> None:
    kinds: dict[str, list[str]] = {}
    for kind, name in misfits:
        kinds.setdefault(kind, []).append(name)
    if not kinds:
        return
    told = [
        f"{kind} {', '.join(names[:NAMED])}{f' and {more} more' if more > 0 else ''}"
        for kind, names in kinds.items()
        for more in [len(names) - NAMED]
    ]
    names = [name for some in kinds.values() for name in some]
    hints = dict.fromkeys(next(hint for p, hint in _HINTS if re.search(p, name)) for name in names)
    raise ValueError(f"nothing was loaded: {'; '.join([*told, *hints])}")
