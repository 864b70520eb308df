"""Where patch tokens look: shares of attention on each kind of token, sinks, distance, entropy.

All are means over patch queries; the class token's and the registers' own rows are left out. Rows
are normalised, ``|A| / sum |A|``, so that they are comparable where weights do not sum to 1 or are
signed; ``row_mass`` is what was divided by, 1 for softmax.

- ``cls_share``, ``register_share``, ``patch_share``: mass on the class token, on all registers, on
  all patches; together 1. ``top_patch_share``: on the one patch that receives most in an image and
  head. Uniform attention over N tokens gives 1 / N (K / N on K registers); ``*_over_uniform`` are
  multiples of that, else the share of registers would grow with their number. ``top_k_mass``: mass
  on the k patches that receive most.
- ``entropy``: nats; ln N where uniform.
- ``distance``: how far they look on the grid, in patches, weighted by the attention among patches.
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

import numpy as np
import torch
from torch import Tensor

from model.attention.base import Inside
from model.probes.base import Array, Findings, Subject

SHARES = ("cls_share", "register_share", "patch_share", "top_patch_share")
SINKS = ("sink_rate", "cls_sink_rate", "register_sink_rate", "patch_sink_rate")
NAMES = (
    *SHARES, *SINKS, "nop_rate", "broadcast_rate", "stable_rank", "distance", "entropy", "row_mass",
    "logit_mean", "logit_max",
)  # fmt: skip
"""What is measured per image, block and head, and becomes a scalar by its mean over all three."""
SINK = 0.3
NOP, BROADCAST, BROADCAST_RANK = 0.2, (0.5, 1.5), 1.5
TOP_K = (1, 2, 5, 10, 20, 50)


def measure_block(inside: Inside, subject: Subject) -> dict[str, Tensor]:
    """`NAMES` per image and head ``(B, heads)``; ``received`` and the map per patch, (B, patches).

    ``attention/received`` is a patch's share of attention, mean over heads and patch queries.
    """
    prefix = subject.prefix
    sizes = inside.weights[:, :, prefix:].float().abs()  # (B, heads, patch queries, N)
    mass = sizes.sum(dim=-1)
    rows = sizes / mass.clamp_min(torch.finfo(mass.dtype).tiny)[..., None]
    received = rows.mean(dim=2)  # (B, heads, N)
    cls, registers, patches = subject.kinds(received, dim=2)
    top = patches.topk(min(max(TOP_K), subject.patches), dim=-1).values
    measured = {
        "cls_share": cls.sum(dim=-1),
        "register_share": registers.sum(dim=-1),
        "patch_share": patches.sum(dim=-1),
        "top_patch_share": top[..., 0],
        "top_k_mass": torch.stack([top[..., :k].sum(dim=-1) for k in TOP_K], dim=-1),
        "entropy": torch.special.entr(rows).sum(dim=-1).mean(dim=2),
        "distance": _distance(rows[..., prefix:], subject),
        "row_mass": mass.mean(dim=2),
        "received": patches.mean(dim=1),
        **_sinks(inside, received, subject),
        **_logits(inside.logits),
    }
    if subject.cls:
        from_cls = inside.weights[:, :, 0, prefix:].float()
        measured["cls_map"] = from_cls.mean(dim=1)
    return {f"attention/{name}": value for name, value in measured.items()}


measures = {"inside": measure_block}


def _distance(among_patches: Tensor, subject: Subject) -> Tensor:
    """Mean distance, in patches, at which patch queries ``(B, heads, P, P)`` look, (B, heads)."""
    rows, columns = subject.grid
    device = among_patches.device
    places = torch.cartesian_prod(
        torch.arange(rows, device=device), torch.arange(columns, device=device)
    ).float()
    apart = torch.cdist(places, places)
    mass = among_patches.sum(dim=-1)
    weighted = (among_patches * apart).sum(dim=-1)
    return (weighted / mass.clamp_min(torch.finfo(mass.dtype).tiny)).mean(dim=2)


def _sinks(inside: Inside, received: Tensor, subject: Subject) -> dict[str, Tensor]:
    """Sinks by kind and by what they do, from the attention that tokens receive."""
    most, token = received.max(dim=-1)  # (B, heads)
    is_sink = most > SINK
    norms = torch.linalg.vector_norm(inside.values.float(), dim=-1)  # (B, heads, N)
    value_ratio = norms.gather(2, token[..., None])[..., 0] / norms.mean(dim=-1)
    rank = stable_rank(inside.mixed[:, :, subject.prefix :].float())
    lowest, highest = BROADCAST
    handed_on = (lowest <= value_ratio) & (value_ratio <= highest) & (rank <= BROADCAST_RANK)
    kinds = dict(zip(SINKS[1:], subject.kinds(received > SINK, dim=2), strict=True))
    return {
        "sink_rate": is_sink.float(),
        **{name: sinks.any(dim=-1).float() for name, sinks in kinds.items()},
        "nop_rate": (is_sink & (value_ratio < NOP)).float(),
        "broadcast_rate": (is_sink & handed_on).float(),
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
    ``attention/by_head/top_k_mass`` (depth, heads, k) goes with ``attention/top_k``.
    """
    names = [name for name in NAMES if f"attention/{name}" in measured]
    by_head = {name: measured[f"attention/{name}"].mean(axis=0, dtype=np.float64) for name in names}
    scalars = {name: float(mean.mean()) for name, mean in by_head.items()}
    uniform = {
        "cls_share": subject.cls / subject.tokens,
        "register_share": subject.registers / subject.tokens,
        "top_patch_share": 1 / subject.tokens,
    }
    scalars |= {f"{n}_over_uniform": scalars[n] / u for n, u in uniform.items() if u}
    if "logit_max" in scalars:
        largest = measured["attention/logit_max"].max(axis=(1, 2))
        scalars["logit_max"] = float(largest.mean(dtype=np.float64))
    by_head["top_k_mass"] = measured["attention/top_k_mass"].mean(axis=0, dtype=np.float64)
    by_head["sink_value_ratio"] = _mean_where_any(measured["attention/sink_value_ratio"])
    arrays = {f"attention/by_head/{name}": mean for name, mean in by_head.items()}
    arrays["attention/top_k"] = np.array(TOP_K)
    if subject.cls:
        arrays["attention/cls_maps"] = subject.first_maps(measured["attention/cls_map"][:, -1])
    return Findings(
        scalars={f"attention/{name}": value for name, value in scalars.items()}, arrays=arrays
    )


def _mean_where_any(values: Array) -> Array:
    """Mean over images of what is not nan; nan where all are."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice")
        return np.asarray(np.nanmean(values, axis=0, dtype=np.float64))
