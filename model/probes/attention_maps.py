"""Where patch tokens look: shares of attention on each kind of token, entropy.

All are means over patch queries; the class token's and the registers' own rows are left out. The
mass on the class token, on all registers and on all patches adds up to 1. ``top_patch_share`` is
the mass on the one patch that receives most in an image and head: where it is large, that patch is
a sink. Uniform attention over N tokens gives 1 / N (K / N on K registers) and an entropy of ln N
nats. The scalars are means over blocks, heads and images.

The maps alone look from the class token: its attention to each patch in the last block, mean over
heads; what it pays to itself and to registers is left out.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from model.probes.base import Array, Findings, first_maps, stack_blocks
from model.record import Seen

wants = frozenset({"attention"})

NAMES = ("cls_share", "register_share", "patch_share", "top_patch_share", "entropy")


def measure(seen: Seen, *, registers: int) -> dict[str, Tensor]:
    """Each of `NAMES` per image, block and head, ``(B, depth, heads)``; a map ``(B, patches)``."""
    blocks = seen["attention"]
    measured = stack_blocks([_measure_block(weights.float(), registers) for weights in blocks])
    if blocks:
        from_cls = blocks[-1].float()[:, :, 0, 1 + registers :]  # (B, heads, patches)
        measured["attention/cls_map"] = from_cls.mean(dim=1).cpu()
    return measured


def _measure_block(weights: Tensor, registers: int) -> dict[str, Tensor]:
    prefix = 1 + registers
    rows = weights[:, :, prefix:]
    received = rows.mean(dim=2)  # (B, heads, keys)
    return {
        "attention/cls_share": received[..., 0],
        "attention/register_share": received[..., 1:prefix].sum(dim=-1),
        "attention/patch_share": received[..., prefix:].sum(dim=-1),
        "attention/top_patch_share": received[..., prefix:].amax(dim=-1),
        "attention/entropy": torch.special.entr(rows).sum(dim=-1).mean(dim=2),
    }


def summarise(measured: Mapping[str, Array]) -> Findings:
    """Scalars, and their means over images as arrays ``attention/by_head/*`` (depth, heads).

    ``attention/cls_maps`` (images, h, w) are maps of the first images only.
    """
    if "attention/entropy" not in measured:
        return Findings()
    means = {name: measured[f"attention/{name}"].mean(axis=0, dtype=np.float64) for name in NAMES}
    return Findings(
        scalars={f"attention/{name}": float(mean.mean()) for name, mean in means.items()},
        arrays={
            "attention/cls_maps": first_maps(measured["attention/cls_map"]),
            **{f"attention/by_head/{name}": mean for name, mean in means.items()},
        },
    )
