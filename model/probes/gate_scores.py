"""How far the gates are open, for sigmoid gates that multiply.

Shares and histograms take every channel of a head; a gate that heads share counts as one head.
``gates/sparsity`` is the share of values below 0.1 over the patch tokens of all blocks, heads and
images; beside it the shares below 0.01 and 0.5. A head is dead where at least 99 % of its values
are below 0.05 and saturated where at least 99 % are above 0.95; the scalars are shares of heads.
The class token has a histogram of its own. Of other gates (another activation, added instead of
multiplied) nothing is told but why, in ``gates/none_because``.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from model.attention.base import Inside
from model.probes.base import Array, Findings, Subject

THRESHOLDS = (0.01, 0.05, 0.1, 0.5, 0.95)
SPARSE = 0.1
BESIDE = (0.01, 0.5)
SHUT, OPEN, NEARLY_ALL = 0.05, 0.95, 0.99
BINS = 64
"""Equal bins of [0, 1]."""


def measure_block(inside: Inside, subject: Subject) -> dict[str, Tensor]:
    """Means, shares and histograms per image and head; nothing where there is nothing to tell."""
    if inside.gate is None or subject.no_gate_statistics:
        return {}
    gate = inside.gate.float()  # (B, heads or 1, N, channels or 1)
    cls, _, patches = (kind.flatten(2) for kind in subject.kinds(gate, dim=2))
    sound = torch.isfinite(patches).all(dim=-1)  # else nothing is below or above anything

    def share(of: Tensor) -> Tensor:
        return torch.where(sound, of.float().mean(dim=-1), torch.nan)

    return {
        "gates/mean": patches.mean(dim=-1),
        "gates/share_below": torch.stack([share(patches < t) for t in THRESHOLDS], dim=-1),
        "gates/share_above": share(patches > OPEN),
        "gates/histogram": _histogram(patches),
        "gates/cls_histogram": _histogram(cls),
    }


measures = {"inside": measure_block}


def _histogram(values: Tensor) -> Tensor:
    """Counts ``(B, heads, BINS)`` along the last axis of values in [0, 1]."""
    bins = (values * BINS).long().clamp(0, BINS - 1)
    counts = torch.zeros(*values.shape[:-1], BINS, dtype=torch.int32, device=values.device)
    return counts.scatter_add_(-1, bins, torch.ones_like(bins, dtype=torch.int32))


def summarise(measured: Mapping[str, Array], subject: Subject) -> Findings:
    """Scalars, and arrays ``gates/by_head/*`` with axes depth and heads first."""
    if subject.no_gate_statistics:
        return Findings(arrays={"gates/none_because": np.array(subject.no_gate_statistics)})
    if "gates/mean" not in measured:
        return Findings()
    names = ("mean", "share_below", "share_above")
    means = {name: measured[f"gates/{name}"].mean(axis=0, dtype=np.float64) for name in names}
    below = {threshold: means["share_below"][..., i] for i, threshold in enumerate(THRESHOLDS)}
    dead, saturated = below[SHUT] >= NEARLY_ALL, means["share_above"] >= NEARLY_ALL
    sound = np.isfinite(means["mean"]).all()
    counts = {
        name: measured[f"gates/{name}"].sum(axis=0, dtype=np.int64)
        for name in ("histogram", "cls_histogram")
    }
    by_head = means | counts | {"dead": dead, "saturated": saturated}
    return Findings(
        scalars={
            "gates/mean": float(means["mean"].mean()),
            "gates/sparsity": float(below[SPARSE].mean()),
            **{f"gates/share_below_{t:g}": float(below[t].mean()) for t in BESIDE},
            "gates/dead": float(dead.mean()) if sound else np.nan,
            "gates/saturated": float(saturated.mean()) if sound else np.nan,
        },
        arrays={
            "gates/thresholds": np.array(THRESHOLDS),
            "gates/histogram_edges": np.linspace(0, 1, BINS + 1),
            **{f"gates/by_head/{name}": array for name, array in by_head.items()},
        },
    )
