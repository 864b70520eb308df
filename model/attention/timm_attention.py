"""A look inside timm's own attention, so that pretrained models can be probed like ours."""

from typing import Any

from timm.layers.attention import Attention
from torch import Tensor, nn

from model.attention import base
from model.attention.base import Inside, scores


def look_inside(attention: nn.Module, x: Tensor) -> Inside:
    """What an attention layer, ours or timm's, computes of its input ``(B, N, dim)``.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(attention, base.Attention):
        return attention.inside(x)
    if isinstance(attention, Attention) and type(attention).forward is Attention.forward:
        return _timm_inside(attention, x)
    raise TypeError(
        f"cannot look inside {type(attention).__name__}: it is neither timm's Attention nor "
        "derived from model.attention.base.Attention, which says what to bring"
    )


def _timm_inside(attention: Any, x: Tensor) -> Inside:
    """What timm's forward does of ``x``, fused or not, in evaluation and without a mask.

    Its optional norm after attention spans all heads; ``gate`` and norm are newer than the class.
    """
    heads = attention.num_heads
    q, k, v = attention.qkv(x).unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
    logits = scores(attention.q_norm(q), attention.k_norm(k))
    weights = logits.softmax(dim=-1)
    mixed = attention.norm((weights @ v).transpose(1, 2).flatten(2)).unflatten(-1, (heads, -1))
    mixed = mixed.transpose(1, 2)
    gate = None
    if getattr(attention, "gate", None) is not None:
        gate = attention.gate(x).sigmoid().unflatten(-1, (heads, -1)).transpose(1, 2)
        mixed = mixed * gate
    return Inside(weights=weights, logits=logits, values=v, mixed=mixed, gate=gate)
