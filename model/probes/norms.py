"""Token norms of the blocks' outputs, before the final norm.

Norms are L2, of patch tokens unless they are named otherwise; class and register tokens stand
apart. The scalars ``norms/*`` describe the output of the last block (Darcet et al., arXiv
2309.16588, measure there), ``norms/worst_*`` the block with the largest share of outliers, which is
named only if it has one. What an outlier is stands in `model.emergence`.

``norms/after_final_*`` is the last block once more, after the final norm. It decides nothing: a
LayerNorm gives all tokens nearly the same norm, sqrt(dim) at initialisation.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from model.emergence import outlier_mask
from model.probes.base import Array, Findings, Subject, kurtosis
from model.probes.modality import describe_modes

HISTOGRAM_EDGES = np.geomspace(1e-1, 1e5, 601)
"""100 bins a decade; norms beyond the ends are counted in the first and the last bin."""
QUANTILES = np.array([0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999, 1])
MULTIPLES = (2, 3, 5)
_LARGEST_FLOAT16 = 65504


def measure_block(x: Tensor, subject: Subject) -> dict[str, Tensor]:
    """Norms ``(B, tokens)`` of each kind of token."""
    return _norms_by_kind(x, subject, after="")


def measure_final(x: Tensor, subject: Subject) -> dict[str, Tensor]:
    """The same after the final norm."""
    return _norms_by_kind(x, subject, after="after_final_")


measures = {"blocks": measure_block, "final": measure_final}


def _norms_by_kind(x: Tensor, subject: Subject, *, after: str) -> dict[str, Tensor]:
    norms = torch.linalg.vector_norm(x.float(), dim=-1)
    cls, register, patch = subject.kinds(norms, dim=1)
    return {
        f"norms/{after}patch": patch,
        f"norms/{after}cls": cls,
        f"norms/{after}register": register,
    }


def summarise(measured: Mapping[str, Array], subject: Subject) -> Findings:
    """Findings over all images; arrays ``norms/by_block/*`` have depth as axis 0.

    ``norms/maps`` (images, h, w) are the last block's norms, of the first images only;
    ``norms/tokens`` (depth, images, patches) are all of them, for any other rule: float16, to 0.05
    %, unless they would not fit.
    """
    patch = measured["norms/patch"].astype(np.float64)
    blocks = [describe(patch[:, depth]) for depth in range(patch.shape[1])]
    by_block = {name: np.stack([block[name] for block in blocks]) for name in blocks[0]}
    final = describe(measured["norms/after_final_patch"].astype(np.float64))
    arrays = {f"norms/by_block/{name}": array for name, array in by_block.items()}
    arrays |= {f"norms/after_final_norm/{name}": array for name, array in final.items()}
    arrays |= {"norms/histogram_edges": HISTOGRAM_EDGES, "norms/quantile_levels": QUANTILES}
    arrays["norms/maps"] = subject.first_maps(measured["norms/patch"][:, -1])
    arrays["norms/tokens"] = compact(measured["norms/patch"].swapaxes(0, 1))
    for kind in ("cls", "register"):
        arrays[f"norms/by_block/{kind}"] = measured[f"norms/{kind}"].mean(axis=0, dtype=np.float64)
    return Findings(scalars=_scalars(by_block, final, measured), arrays=arrays)


def describe(norms: Array) -> dict[str, Array]:
    """One block's patch norms ``(images, patches)`` in numbers.

    ``outliers_by_image`` is kept for the bootstrap: the tokens of one image go together. Modes are
    described by `model.probes.modality`. Where a norm is not finite, shares and numbers of outliers
    are nan, not 0: there is no telling.
    """
    median = np.median(norms)
    outliers = outlier_mask(norms)
    told = 1.0 if np.isfinite(norms).all() else np.nan
    inside = np.clip(norms, HISTOGRAM_EDGES[0], HISTOGRAM_EDGES[-1])
    return {
        "median": median,
        "max": norms.max(),
        "kurtosis": kurtosis(norms),
        "outlier_share": told * outliers.mean(),
        "outliers_by_image": told * outliers.sum(axis=1),
        "quantiles": np.quantile(norms, QUANTILES),
        "histogram": np.histogram(inside, HISTOGRAM_EDGES)[0],
        **{f"share_above_{m}x": told * (norms > m * median).mean() for m in MULTIPLES},
        **{name: np.float64(value) for name, value in describe_modes(norms).items()},
    }


def compact(norms: Array) -> Array:
    """Norms in half precision, relative error at most 2^-11; as they are if they would not fit."""
    fits = np.nanmax(norms, initial=0) <= _LARGEST_FLOAT16
    return norms.astype(np.float16) if fits else norms


def _scalars(
    by_block: Mapping[str, Array], final: Mapping[str, Array], measured: Mapping[str, Array]
) -> dict[str, float]:
    last = {name: array[-1] for name, array in by_block.items()}
    worst = by_block["outlier_share"].max()  # nan if any is
    shares = ("outlier_share", *(f"share_above_{m}x" for m in MULTIPLES))
    scalars = {
        "norms/median": last["median"],
        "norms/max": last["max"],
        "norms/max_over_median": last["max"] / last["median"],
        "norms/kurtosis": last["kurtosis"],
        **{f"norms/{name}": last[name] for name in shares},
        "norms/worst_outlier_share": worst,
        "norms/after_final_median": final["median"],
        "norms/after_final_max_over_median": final["max"] / final["median"],
    }
    if worst > 0:
        scalars["norms/worst_block"] = by_block["outlier_share"].argmax()
    for kind in ("cls", "register"):
        if measured[f"norms/{kind}"].shape[-1]:
            scalars[f"norms/{kind}"] = measured[f"norms/{kind}"][:, -1].mean(dtype=np.float64)
    return {name: float(value) for name, value in scalars.items()}
