"""Figures of attention over depth: where patch tokens look, and how widely."""

from typing import TYPE_CHECKING, Any

from model.figures.found import Probed
from model.figures.style import (
    COLOURS,
    MARKERS,
    counted,
    finite,
    labelled,
    log_limits,
    said_if_none,
    stacked,
    with_legend,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

REGISTERS = "attention/by_head/register_share"
# array -> the kind of key that receives this share
_SHARES: tuple[tuple[str, str], ...] = (
    ("attention/by_head/patch_share", "all patches"),
    ("attention/by_head/cls_share", "class token"),
    (REGISTERS, "all registers"),
    ("attention/by_head/top_patch_share", "top patch"),
)


def attention_by_depth(probed: Probed) -> "Figure | None":
    """Where patch queries look in each block, and the entropy of their rows.

    Lines are means over heads, bands reach from the lowest head to the highest.
    """
    import numpy as np

    entropy = probed.arrays.get("attention/by_head/entropy")  # (depth, heads)
    if entropy is None:
        return None
    title = probed.titled("Attention of patch tokens over depth")
    figure, above, beneath = stacked(title, height_in=3.2)
    seen = []
    for (name, label), colour, marker in zip(_SHARES, COLOURS, MARKERS, strict=False):
        shares = probed.arrays.get(name)
        if shares is None or (name == REGISTERS and not shares.any()):
            continue  # a model without registers
        seen.append(_band(above, finite(shares), label=label, colour=colour, marker=marker))
    log_limits(above, np.concatenate(seen))
    labelled(above, y="share of attention")
    with_legend(above, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    _band(beneath, finite(entropy), label="entropy", colour="#000000", marker="o")
    beneath.set_ylim(0, 1.1 * max(float(np.nanmax(finite(entropy), initial=0)), 0.1))
    said_if_none(beneath, entropy)
    labelled(beneath, y="entropy (nats)")
    counted(beneath.xaxis, "block")
    beneath.set_xlim(-0.5, len(entropy) - 0.5)
    return figure


def _band(
    axes: "Axes", values: "NDArray[Any]", *, label: str, colour: str, marker: str
) -> "NDArray[Any]":
    """A line of means over heads, and the heads' range, for ``(depth, heads)``; the means."""
    import numpy as np

    blocks = np.arange(len(values))
    low, high = values.min(axis=1), values.max(axis=1)
    axes.fill_between(blocks, low, high, color=colour, alpha=0.18, linewidth=0)
    mean = values.mean(axis=1)
    axes.plot(blocks, mean, color=colour, marker=marker, ms=3, linewidth=1, label=label)
    return np.asarray(mean)
