"""Token norms and activations of the blocks' outputs, before the final norm.

Norms are L2, of patch tokens unless they are named otherwise; class and register tokens stand
apart. The scalars ``norms/*`` describe the output of the last block (Darcet et al., arXiv
2309.16588, measure there), ``norms/worst_*`` the block with the largest share of outliers.

An outlier is a patch token whose norm exceeds both median + 10 x 1.4826 x MAD and 1.5 x median of
its block over all images: unlike a percentile, the rule can find none. ``activations/max_inf`` and
``activations/kurtosis`` follow Bondarenko et al. (arXiv 2306.12929): they look at every value of
all tokens, image by image.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from model.probes.base import Array, Findings, first_maps, kurtosis, stack_blocks
from model.record import Seen

wants = frozenset({"blocks"})

HISTOGRAM_EDGES = np.geomspace(1e-1, 1e5, 601)
"""100 bins a decade; norms beyond the ends are counted in the first and the last bin."""
QUANTILES = np.array([0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999, 1])
MULTIPLES = (2, 3, 5)


def measure(seen: Seen, *, registers: int) -> dict[str, Tensor]:
    """Norms ``(B, depth, tokens)`` of each kind of token, and activations ``(B, depth)``."""
    return stack_blocks([_measure_block(x.float(), registers) for x in seen["blocks"]])


def _measure_block(x: Tensor, registers: int) -> dict[str, Tensor]:
    norms = torch.linalg.vector_norm(x, dim=-1)
    cls, register, patch = norms.split([1, registers, norms.shape[1] - 1 - registers], dim=1)
    values = x.flatten(1)
    # standardised first: the fourth power of a massive activation may not fit in float32
    std, mean = torch.std_mean(values, dim=1, correction=0, keepdim=True)
    return {
        "norms/patch": patch,
        "norms/cls": cls,
        "norms/register": register,
        "activations/max_inf": values.abs().amax(dim=1),
        "activations/kurtosis": ((values - mean) / std).pow(4).mean(dim=1),
    }


def summarise(measured: Mapping[str, Array]) -> Findings:
    """Findings over all images; arrays ``norms/by_block/*`` have depth as axis 0.

    ``norms/maps`` (images, h, w) are the last block's norms, of the first images only.
    """
    if "norms/patch" not in measured:
        return Findings()
    patch = measured["norms/patch"].astype(np.float64)
    blocks = [describe(patch[:, depth]) for depth in range(patch.shape[1])]
    by_block = {name: np.stack([block[name] for block in blocks]) for name in blocks[0]}
    arrays = {f"norms/by_block/{name}": array for name, array in by_block.items()}
    arrays |= {"norms/histogram_edges": HISTOGRAM_EDGES, "norms/quantile_levels": QUANTILES}
    arrays["norms/maps"] = first_maps(measured["norms/patch"][:, -1])
    for name in ("activations/max_inf", "activations/kurtosis"):
        head, _, tail = name.partition("/")
        arrays[f"{head}/by_block/{tail}"] = measured[name].mean(axis=0, dtype=np.float64)
    return Findings(scalars=_scalars(by_block, measured), arrays=arrays)


def describe(norms: Array) -> dict[str, Array]:
    """One block's patch norms ``(images, patches)`` in numbers.

    ``outliers_by_image`` is kept for the bootstrap: the tokens of one image go together.
    """
    median = np.median(norms)
    spread = 1.4826 * np.median(np.abs(norms - median))
    outliers = norms > max(median + 10 * spread, 1.5 * median)
    inside = np.clip(norms, HISTOGRAM_EDGES[0], HISTOGRAM_EDGES[-1])
    return {
        "median": median,
        "max": norms.max(),
        "kurtosis": kurtosis(norms),
        "outlier_share": outliers.mean(),
        "outliers_by_image": outliers.sum(axis=1),
        "quantiles": np.quantile(norms, QUANTILES),
        "histogram": np.histogram(inside, HISTOGRAM_EDGES)[0],
        **{f"share_above_{m}x": (norms > m * median).mean() for m in MULTIPLES},
    }


def _scalars(by_block: Mapping[str, Array], measured: Mapping[str, Array]) -> dict[str, float]:
    last = {name: by_block[name][-1] for name in ("median", "max", "outlier_share", "kurtosis")}
    worst = int(by_block["outlier_share"].argmax())
    scalars = {f"norms/{name}": float(value) for name, value in last.items()} | {
        "norms/max_over_median": float(last["max"] / last["median"]),
        "norms/worst_outlier_share": float(by_block["outlier_share"][worst]),
        "norms/worst_block": float(worst),
        "norms/cls": float(measured["norms/cls"][:, -1].mean(dtype=np.float64)),
        "activations/max_inf": float(
            measured["activations/max_inf"].max(axis=1).mean(dtype=np.float64)
        ),
        "activations/kurtosis": float(measured["activations/kurtosis"].mean(dtype=np.float64)),
    }
    if measured["norms/register"].shape[-1]:
        scalars["norms/register"] = float(measured["norms/register"][:, -1].mean(dtype=np.float64))
    return scalars
