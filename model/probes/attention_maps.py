"""Where patch tokens look: shares of attention on each kind of token, sinks, distance, entropy.

All are means over patch queries; the class token's and the registers' own rows are left out. Rows
are normalised, ``|A| / sum |A|``, so that they are comparable where weights do not sum to 1 or are
signed; ``row_mass`` is what was divided by, 1 for softmax. A row without any, as clipping leaves
them, is no distribution: it counts in ``row_mass`` and ``empty_rows``, the share of such rows, and
in nothing else. A head all of whose rows are empty has no shares, sinks, distance or entropy, nan.

- ``cls_share``, ``register_share``, ``patch_share``: mass on the class token, on all registers, on
  all patches; together 1. ``top_patch_share``: on the one patch that receives most in an image and
  head. Uniform attention over N tokens gives 1 / N (K / N on K registers); ``*_over_uniform`` are
  multiples of that, else the share of registers would grow with their number. ``top_k_mass``: mass
  on the k patches that receive most.
- ``entropy``: nats; ln N where uniform.
- ``distance``: how far they look on the grid, in patches, weighted by the attention among patches;
  of queries that look at some patch.
- ``sink_rate`` (Gu et al., arXiv 2410.10781): a token is a sink in an image and head if its mean
  attention exceeds 0.3; the share of heads with one, and with one of each kind.
- ``nop_rate``, ``broadcast_rate`` (arXiv 2606.08105): the share of heads whose most attended token
  is a sink and moves nothing (the norm of its value is below 0.2 of the mean), or hands its value
  to everybody (a norm within half of the mean, and a head's output of a stable rank of at most
  1.5, where the paper says about 1). ``sink_value_ratio``: that norm over the mean, where a sink
  is. ``stable_rank``: ``||O||_F^2 / ||O||_2^2`` of a head's output at patch tokens, after a gate.
- ``logit_mean``, ``logit_max``: of the scaled scores of all queries and keys; none where a variant
  has no scores. The maximum is over a head, then the mean over images; as scalar over all blocks.

The maps alone look from the class token: its attention to each patch in the last block, mean over
heads; what it pays to itself and to registers is left out.
"""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model.attention.base import Inside
from model.probes.base import Array, Findings, Subject

SHARES = ("cls_share", "register_share", "patch_share", "top_patch_share")
SINKS = ("sink_rate", "cls_sink_rate", "register_sink_rate", "patch_sink_rate")
NAMES = (
    *SHARES, *SINKS, "nop_rate", "broadcast_rate", "stable_rank", "distance", "entropy", "row_mass",
    "empty_rows", "logit_mean", "logit_max",
)  # fmt: skip
"""What is measured per image, block and head, and becomes a scalar by its mean over all three."""
SINK = 0.3
NOP, BROADCAST, BROADCAST_RANK = 0.2, (0.5, 1.5), 1.5
TOP_K = (1, 2, 5, 10, 20, 50)


def measure_block(inside: Inside, subject: Subject) -> dict[str, Tensor]:
    """`NAMES` per image and head ``(B, heads)``; ``received`` and the map per patch, (B, patches).

    ``attention/received`` is a patch's share of attention, mean over heads and patch queries that
    look anywhere; 0 where none does.
    """
    prefix = subject.prefix
    sizes = inside.weights[:, :, prefix:].float().abs()  # (B, heads, patch queries, N)
    mass = sizes.sum(dim=-1)
    rows, filled = _normalised(sizes, mass)
    received = _mean_where(rows, filled, dim=2)  # (B, heads, N)
    cls, registers, patches = subject.kinds(received, dim=2)
    looks = filled.any(dim=2)  # (B, heads)
    top = patches.topk(min(max(TOP_K), subject.patches), dim=-1).values
    measured = {
        "cls_share": cls.sum(dim=-1),
        "register_share": registers.sum(dim=-1),
        "patch_share": patches.sum(dim=-1),
        "top_patch_share": top[..., 0],
        "top_k_mass": torch.stack([top[..., :k].sum(dim=-1) for k in TOP_K], dim=-1),
        "entropy": _mean_where(torch.special.entr(rows).sum(dim=-1), filled, dim=2),
        "distance": _distance(rows[..., prefix:], subject),
        "row_mass": mass.mean(dim=2),
        "empty_rows": (~filled).float().mean(dim=2),
        "received": _received(patches, looks),
        "finite": _finite(mass, inside),
        **_sinks(inside, received, subject),
        **_logits(inside.logits),
    }
    if subject.cls:
        from_cls = inside.weights[:, :, 0, prefix:].float()
        measured["cls_map"] = from_cls.mean(dim=1)
    return {f"attention/{name}": value for name, value in measured.items()}


measures = {"inside": measure_block}


def _normalised(sizes: Tensor, mass: Tensor) -> tuple[Tensor, Tensor]:
    """Rows over their mass, 0 where they have none, and which have; nan is no lack of mass."""
    filled = ~(mass < torch.finfo(mass.dtype).tiny)
    return sizes / torch.where(filled, mass, torch.inf)[..., None], filled


def _mean_where(values: Tensor, there: Tensor, *, dim: int) -> Tensor:
    """Mean along an axis over what is there, nan where nothing is; values are 0 elsewhere.

    Where all is there, this is the plain mean to the last bit.
    """
    share = there.sum(dim=dim) / there.shape[dim]
    return values.mean(dim=dim) / share.reshape(*share.shape, *[1] * (values.ndim - there.ndim))


def _received(patches: Tensor, looks: Tensor) -> Tensor:
    """What patches receive ``(B, heads, P)``, mean over heads that look anywhere, (B, P)."""
    mean = _mean_where(torch.where(looks[..., None], patches, 0.0), looks, dim=1)
    return torch.where(looks.any(dim=1)[:, None], mean, 0.0)


def _finite(mass: Tensor, inside: Inside) -> Tensor:
    """Whether all that a head's numbers are made from is finite, ``(B, heads)``."""
    parts = (mass, inside.values.flatten(2), inside.mixed.flatten(2))
    return torch.stack([torch.isfinite(part).all(dim=-1) for part in parts]).all(dim=0)


def _distance(among_patches: Tensor, subject: Subject) -> Tensor:
    """Mean distance, in patches, at which patch queries ``(B, heads, P, P)`` look, (B, heads)."""
    rows, columns = subject.grid
    device = among_patches.device
    places = torch.cartesian_prod(
        torch.arange(rows, device=device), torch.arange(columns, device=device)
    ).float()
    apart = torch.cdist(places, places)
    mass = among_patches.sum(dim=-1)
    filled = ~(mass < torch.finfo(mass.dtype).tiny)
    weighted = (among_patches * apart).sum(dim=-1)
    return _mean_where(weighted / torch.where(filled, mass, torch.inf), filled, dim=2)


def _sinks(inside: Inside, received: Tensor, subject: Subject) -> dict[str, Tensor]:
    """Sinks by kind and by what they do, from the attention that tokens receive.

    nan in heads of which this is nan: nobody looks anywhere, or it is not known where.
    """
    most, token = received.max(dim=-1)  # (B, heads)
    is_sink = most > SINK
    norms = torch.linalg.vector_norm(inside.values.float(), dim=-1)  # (B, heads, N)
    value_ratio = norms.gather(2, token[..., None])[..., 0] / norms.mean(dim=-1)
    rank = stable_rank(inside.mixed[:, :, subject.prefix :].float())
    lowest, highest = BROADCAST
    handed_on = (lowest <= value_ratio) & (value_ratio <= highest) & (rank <= BROADCAST_RANK)
    kinds = dict(zip(SINKS[1:], subject.kinds(received > SINK, dim=2), strict=True))
    rates = {
        "sink_rate": is_sink,
        **{name: sinks.any(dim=-1) for name, sinks in kinds.items()},
        "nop_rate": is_sink & (value_ratio < NOP),
        "broadcast_rate": is_sink & handed_on,
    }
    return {
        **{
            name: torch.where(most.isnan(), torch.nan, rate.float()) for name, rate in rates.items()
        },
        "sink_value_ratio": torch.where(is_sink, value_ratio, torch.nan),
        "stable_rank": rank,
    }


def stable_rank(outputs: Tensor) -> Tensor:
    """``||O||_F^2 / ||O||_2^2`` of matrices ``(..., n, d)``; nan where not finite, or all zero."""
    gram = outputs.transpose(-2, -1) @ outputs
    sound = torch.isfinite(gram).all(dim=-1).all(dim=-1)
    largest = torch.linalg.eigvalsh(torch.where(sound[..., None, None], gram, 0.0))[..., -1]
    total = gram.diagonal(dim1=-2, dim2=-1).sum(dim=-1)
    return torch.where(sound & (largest > 0), total / largest, torch.nan)


def _logits(logits: Tensor | None) -> dict[str, Tensor]:
    """Mean and maximum per image and head; masked scores, minus infinity, are left out."""
    if logits is None:
        return {}
    flat = logits.float().flatten(2)
    there = flat != -torch.inf
    mean = torch.where(there, flat, 0.0).sum(dim=-1) / there.sum(dim=-1)
    return {"logit_mean": mean, "logit_max": flat.amax(dim=-1)}


def summarise(measured: Mapping[str, Array], subject: Subject) -> Findings:
    """Scalars, and their means over images as arrays ``attention/by_head/*`` (depth, heads).

    ``attention/cls_maps`` (images, h, w) are maps of the first images only;
    ``attention/by_head/top_k_mass`` (depth, heads, k) goes with ``attention/top_k``. Means are over
    images and heads that have something to tell; a head that is not finite in some image, and
    scalars of a model with such a head, are nan.
    """
    broken = ~measured["attention/finite"].all(axis=0)  # (depth, heads)
    names = [name for name in NAMES if f"attention/{name}" in measured]
    by_head = {
        name: _mean_where_any(measured[f"attention/{name}"], broken)
        for name in (*names, "top_k_mass", "sink_value_ratio")
    }
    scalars = {name: float(_mean_where_any(by_head[name].ravel(), broken.any())) for name in names}
    uniform = {
        "cls_share": subject.cls / subject.tokens,
        "register_share": subject.registers / subject.tokens,
        "top_patch_share": 1 / subject.tokens,
    }
    scalars |= {f"{n}_over_uniform": scalars[n] / u for n, u in uniform.items() if u}
    if "logit_max" in scalars:
        largest = measured["attention/logit_max"].max(axis=(1, 2))
        scalars["logit_max"] = float(largest.mean(dtype=np.float64))
    arrays = {f"attention/by_head/{name}": mean for name, mean in by_head.items()}
    arrays["attention/top_k"] = np.array(TOP_K)
    if subject.cls:
        arrays["attention/cls_maps"] = subject.first_maps(measured["attention/cls_map"][:, -1])
    return Findings(
        scalars={f"attention/{name}": value for name, value in scalars.items()}, arrays=arrays
    )


def _mean_where_any(values: Array, broken: Any) -> Array:
    """Mean along the first axis of what is not nan; nan where all are, and where it is broken."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice")
        mean = np.asarray(np.nanmean(values, axis=0, dtype=np.float64))
    mean[broken] = np.nan
    return mean
