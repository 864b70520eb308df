"""How far the gates are open, for sigmoid gates that multiply.

Shares and histograms take every channel of a head. ``gates/sparsity`` is the share of values below
0.1 over the patch tokens of all blocks, heads and images. A head is dead where at least 99 % of its
values are below 0.05 and saturated where at least 99 % are above 0.95; both can be read off
``gates/by_head/share_below``. The class token has a histogram of its own.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from model.probes.base import Array, Findings, stack_blocks
from model.record import Seen

wants = frozenset({"gates"})

THRESHOLDS = (0.01, 0.05, 0.1, 0.5, 0.95)
SPARSE = 0.1
BINS = 64
"""Equal bins of [0, 1]."""


def measure(seen: Seen, *, registers: int) -> dict[str, Tensor]:
    """Means, shares and histograms per image, block and head; nothing where there is no gate."""
    return stack_blocks([_measure_block(gate.float(), registers) for gate in seen["gates"]])


def _measure_block(gate: Tensor, registers: int) -> dict[str, Tensor]:
    patch = gate[:, :, 1 + registers :].flatten(2)  # (B, heads, patches x channels)
    shares = [(patch < threshold).float().mean(dim=-1) for threshold in THRESHOLDS]
    return {
        "gates/mean": patch.mean(dim=-1),
        "gates/share_below": torch.stack(shares, dim=-1),
        "gates/histogram": _histogram(patch),
        "gates/cls_histogram": _histogram(gate[:, :, 0]),
    }


def _histogram(values: Tensor) -> Tensor:
    """Counts ``(B, heads, BINS)`` along the last axis of values in [0, 1]."""
    bins = (values * BINS).long().clamp(0, BINS - 1)
    counts = torch.zeros(*values.shape[:-1], BINS, dtype=torch.int32, device=values.device)
    return counts.scatter_add_(-1, bins, torch.ones_like(bins, dtype=torch.int32))


def summarise(measured: Mapping[str, Array]) -> Findings:
    """Scalars, and arrays ``gates/by_head/*`` with axes depth and heads first."""
    if "gates/mean" not in measured:
        return Findings()
    mean = measured["gates/mean"].mean(axis=0, dtype=np.float64)
    below = measured["gates/share_below"].mean(axis=0, dtype=np.float64)
    return Findings(
        scalars={
            "gates/mean": float(mean.mean()),
            "gates/sparsity": float(below[..., THRESHOLDS.index(SPARSE)].mean()),
        },
        arrays={
            "gates/thresholds": np.array(THRESHOLDS),
            "gates/histogram_edges": np.linspace(0, 1, BINS + 1),
            "gates/by_head/mean": mean,
            "gates/by_head/share_below": below,
            "gates/by_head/histogram": measured["gates/histogram"].sum(axis=0, dtype=np.int64),
            "gates/by_head/cls_histogram": measured["gates/cls_histogram"].sum(
                axis=0, dtype=np.int64
            ),
        },
    )
