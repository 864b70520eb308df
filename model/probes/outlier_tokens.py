"""What tells outlier tokens from the rest: attention received, the MLP before, their neighbours.

Outliers are those of `model.emergence`, block by block, over all images.

- *Attention.* ``attention/outliers_received`` (depth, depth): the mean attention that outliers of
  the row's block receive in the column's block, from patch queries and over heads, divided by what
  the median patch receives there. Only columns of later blocks are filled: a block's output is what
  the next one attends to. ``attention/outliers_received_later`` (depth,) is each row's largest; the
  rule of emergence asks for 5. The scalar is the largest of all.
- *MLP.* Outliers appear after an MLP (arXiv 2506.08010): ``mlp/by_block/*`` have the largest norm
  and absolute value that each block's MLP adds, after LayerScale, to tokens that are outliers after
  that block, and the median norm that it adds to any patch.
- *Redundancy.* Cosine similarity to the four neighbours right after patch embedding (Darcet et al.,
  arXiv 2309.16588, fig. 5a), mean over patches that are outliers of the last block and over the
  rest. Patches at the border have fewer neighbours.

All are nan, and scalars absent, where there are no outliers, but for what is told of the rest. They
are absent too where the norms of some block are not finite: nobody can say then which tokens are
outliers. Attention received is infinite where outliers receive some and the median patch none, as
it may where weights are clipped.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from model.emergence import outlier_mask
from model.probes.base import Array, Findings, Subject, ratio

# patches and their neighbours, as slices of (B, rows, columns): to the right, and below
_SIDES = (
    (np.s_[:, :, :-1], np.s_[:, :, 1:]),
    (np.s_[:, :-1, :], np.s_[:, 1:, :]),
)


def measure_mlp(added: Tensor, subject: Subject) -> dict[str, Tensor]:
    """Norm and largest absolute value of what the MLP adds to each patch, ``(B, patches)``."""
    patches = subject.kinds(added.float(), dim=1)[2]
    return {
        "mlp/norm": torch.linalg.vector_norm(patches, dim=-1),
        "mlp/max_abs": patches.abs().amax(dim=-1),
    }


def measure_embedding(embedded: Tensor, subject: Subject) -> dict[str, Tensor]:
    """Each patch's mean cosine similarity to its neighbours on the grid, ``(B, patches)``."""
    rows, columns = subject.grid
    unit = F.normalize(embedded.float().reshape(len(embedded), rows, columns, -1), dim=-1)
    total, count = torch.zeros_like(unit[..., 0]), torch.zeros_like(unit[0, ..., 0])
    for one, other in _SIDES:
        alike = (unit[one] * unit[other]).sum(dim=-1)
        for side in (one, other):
            total[side] += alike
            count[side[1:]] += 1
    return {"redundancy/similarity": (total / count).flatten(1)}


measures = {"mlp": measure_mlp, "embedding": measure_embedding}


def summarise(measured: Mapping[str, Array], _: Subject) -> Findings:
    """Scalars ``attention/outliers_received``, ``mlp/*`` and ``redundancy/*``, and their arrays."""
    norms = measured["norms/patch"].astype(np.float64)  # (images, depth, patches)
    masks = np.stack([outlier_mask(norms[:, block]) for block in range(norms.shape[1])], axis=1)
    received = outliers_received(masks, measured["attention/received"])
    later = _largest(received, axis=1)
    told = np.isfinite(norms).all()
    mlp = {
        "outlier_max_norm": _largest(np.where(masks, measured["mlp/norm"], np.nan), axis=(0, 2)),
        "outlier_max_abs": _largest(np.where(masks, measured["mlp/max_abs"], np.nan), axis=(0, 2)),
        "median_norm": np.median(measured["mlp/norm"], axis=(0, 2)),
    }
    similarity, last = measured["redundancy/similarity"], masks[:, -1]
    scalars = {
        "attention/outliers_received": _largest(later),
        "mlp/outlier_max_norm": _largest(mlp["outlier_max_norm"]),
        "mlp/outlier_max_abs": _largest(mlp["outlier_max_abs"]),
        "redundancy/outliers": _mean(similarity[last]),
        "redundancy/rest": _mean(similarity[~last]),
    }
    return Findings(
        scalars={n: float(v) for n, v in scalars.items() if told and not np.isnan(v)},
        arrays={
            "attention/outliers_received": received,
            "attention/outliers_received_later": later,
            **{f"mlp/by_block/{name}": values for name, values in mlp.items()},
        },
    )


def outliers_received(masks: Array, received: Array) -> Array:
    """Attention that each block's outliers receive in each later one, over the median patch's.

    ``masks`` and ``received`` are ``(images, depth, patches)``; the result (depth, depth) is nan
    on and below its diagonal, and where there are no outliers.
    """
    outliers = np.einsum("ibp,icp->bc", masks.astype(np.float32), received, optimize=True)
    mean = ratio(outliers, masks.sum(axis=(0, 2))[:, None])
    over_median = ratio(mean, np.median(received, axis=(0, 2)))
    later = np.triu(np.ones_like(over_median, dtype=bool), k=1)
    return np.where(later, over_median, np.nan)


def _largest(values: Array, axis: int | tuple[int, ...] | None = None) -> Any:
    """The largest value that is not nan; nan where all are."""
    largest = np.max(np.nan_to_num(values, nan=-np.inf, posinf=np.inf), axis=axis)
    return np.where(largest == -np.inf, np.nan, largest)


def _mean(values: Array) -> float:
    return float(values.mean(dtype=np.float64)) if values.size else float("nan")
