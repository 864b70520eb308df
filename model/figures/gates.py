"""Figures of gates: how far each is open, and how its values are spread."""

from typing import TYPE_CHECKING, Any

from model.figures.found import Probed
from model.figures.ridges import HEIGHT, Ridge, draw_ridges
from model.figures.style import (
    BAR_ASPECT,
    COLOURS,
    ON_BRIGHT,
    TICK,
    colours,
    counted,
    labelled,
    named,
    titled,
    with_legend,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

MOST_NUMBERS = 12
"""Blocks or heads beyond which the cells of a map hold no numbers."""


def gate_map(probed: Probed) -> "Figure | None":
    """How far the gate of each block and head is open, on a scale that never changes."""
    means = probed.arrays.get("gates/by_head/mean")  # (depth, heads)
    if means is None:
        return None
    return head_map(means, probed.titled("Mean gate of patch tokens"), "0: shut, 1: open")


def head_map(shares: "NDArray[Any]", title: str, label: str) -> "Figure":
    """Shares of blocks and heads ``(depth, heads)``, as colours from 0 to 1 and as numbers."""
    import numpy as np

    depth, heads = shares.shape
    numbers = max(depth, heads) <= MOST_NUMBERS
    height = max(1.9, 0.65 + 0.115 * min(depth, 2 * MOST_NUMBERS))
    figure, ((axes,),) = titled(title, height_in=height)
    shown = axes.imshow(np.ma.masked_invalid(shares), vmin=0, vmax=1, cmap=colours(), aspect="auto")
    counted(axes.xaxis, "head")
    counted(axes.yaxis, "block")
    if numbers:
        for (block, head), value in np.ndenumerate(shares):
            colour = "white" if value < 0.6 else ON_BRIGHT
            axes.text(
                head, block, f"{value:.2f}", color=colour, fontsize=TICK, ha="center", va="center"
            )
    named(figure.colorbar(shown, ax=axes, aspect=BAR_ASPECT), label)
    return figure


def gate_histograms(probed: Probed) -> "Figure | None":
    """How the gate values of each block are spread, over all its heads.

    Each row is scaled to its own highest bin, so that shapes compare; patch tokens are filled, the
    class token is a line.
    """
    patches = probed.arrays.get("gates/by_head/histogram")  # (depth, heads, bins)
    if patches is None:
        return None
    edges = probed.arrays["gates/histogram_edges"]
    figure, ((axes,),) = titled(
        probed.titled("Gate values by block"), height_in=1.0 + HEIGHT * len(patches)
    )
    rows = []
    for block, (patch, cls) in enumerate(
        zip(patches, probed.arrays["gates/by_head/cls_histogram"], strict=True)
    ):
        heights, line = (one.sum(axis=0) / max(one.sum(axis=0).max(), 1) for one in (patch, cls))
        rows.append(Ridge(name=str(block), heights=heights, line=line, colour=COLOURS[0]))
    draw_ridges(axes, rows, edges, tallest=0.9)
    axes.set(xlim=(0, 1))
    labelled(axes, x="gate value (0: shut, 1: open)", y="block")
    axes.fill_between([], [], color=COLOURS[0], alpha=0.75, linewidth=0, label="patch tokens")
    axes.plot([], [], color=COLOURS[1], linewidth=1, label="class token")
    with_legend(axes, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return figure
