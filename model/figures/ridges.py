"""Distributions one below the other on one axis, each a little over the one above it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

HEIGHT = 0.28
"""Inches from one row to the next that keep rows readable."""
LINE = "#d55e00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ridge:
    """One row: heights of its bins in 0 to 1, filled, and a second distribution as a line.

    ``mark``: a place on the axis that gets a tick, such as the median.
    """

    name: str
    heights: "NDArray[Any]"
    colour: Any
    line: "NDArray[Any] | None" = None
    mark: float | None = None


def draw_ridges(
    axes: "Axes",
    rows: Sequence[Ridge],
    edges: "NDArray[Any]",
    *,
    tallest: float = 1.3,
    alpha: float = 0.75,
) -> None:
    """Draw the rows downward, their names as the labels of the y axis.

    ``tallest``: how high a bin of height 1 stands, in rows; ``alpha``: how dense fillings are.
    """
    for index, row in enumerate(rows):
        base = -index
        # a later row stands before an earlier one, so that overlaps read as depth
        order = 3 * index
        axes.stairs(
            base + tallest * row.heights,
            edges,
            baseline=base,
            fill=True,
            color=row.colour,
            alpha=alpha,
            zorder=order,
        )
        axes.axhline(base, color="#999999", linewidth=0.4, zorder=order + 1)
        if row.line is not None:
            outline = base + tallest * row.line
            axes.stairs(outline, edges, baseline=None, color=LINE, linewidth=0.9, zorder=order + 2)
        if row.mark is not None:
            axes.plot([row.mark] * 2, [base, base + 0.55], "k-", linewidth=1.2, zorder=order + 2)
    axes.set_yticks([-index for index in range(len(rows))], [row.name for row in rows])
    axes.set_ylim(-len(rows) + 0.85, tallest + 0.1)
    axes.tick_params(axis="y", length=0)
    axes.spines[["left", "top", "right"]].set_visible(False)
