"""Figures of what the probes found, from the arrays that they left."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

# Okabe and Ito's colours, told apart by colour-blind readers
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Counts of values in bins: ``counts`` has n entries, ``edges`` n + 1, ascending."""

    counts: "NDArray[Any]"
    edges: "NDArray[Any]"

    def median(self) -> float:
        """The median, placed inside its bin as if the bin were filled evenly."""
        import numpy as np  # noqa: PLC0415  # this module is read where no array is drawn

        below = np.concatenate([[0], np.cumsum(self.counts)])
        return float(np.interp(below[-1] / 2, below, self.edges))


def norms_by_arm(histograms: Mapping[str, Histogram]) -> "Figure":
    """The distribution of final-block patch-token norms, one row for each arm.

    Takes ``norms/by_block/histogram`` (its last row) and ``norms/histogram_edges``. Both axes are
    logarithmic: artifacts are a few tokens in a thousand, at several times the median. Drawn 8
    inches wide, so that 100 dots an inch fill 800 pixels.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415  # half a second that only figures need
    from matplotlib.ticker import (  # noqa: PLC0415  # as above
        LogLocator,
        NullLocator,
        StrMethodFormatter,
    )

    figure = Figure(figsize=(8, 1.1 + 1.15 * len(histograms)), layout="constrained")
    rows = figure.subplots(len(histograms), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for i, (axes, (arm, histogram)) in enumerate(zip(rows, histograms.items(), strict=True)):
        _draw_arm(axes, arm, histogram, colour=_COLOURS[i % len(_COLOURS)])
    rows[0].set(xscale="log", yscale="log", xlim=_limits(histograms))
    rows[-1].xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    rows[-1].xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    rows[-1].xaxis.set_minor_locator(NullLocator())
    rows[-1].set_xlabel("L2 norm of patch tokens, output of the last block before the final norm")
    figure.supylabel("share of patch tokens per bin", fontsize="medium")
    return figure


def _draw_arm(axes: "Axes", arm: str, histogram: Histogram, *, colour: str) -> None:
    share = histogram.counts / max(histogram.counts.sum(), 1)
    median = histogram.median()
    axes.stairs(share, histogram.edges, fill=True, color=colour, alpha=0.85)
    axes.axvline(median, color="black", linewidth=1, linestyle="--")
    axes.set_title(f"{arm}   (median {median:.3g}, dashed)", loc="left", fontsize="medium")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", alpha=0.2)


def _limits(histograms: Mapping[str, Histogram]) -> tuple[float, float]:
    """The span of all filled bins, with a margin; norms of different arms stay comparable."""
    filled = [
        (h.edges[:-1][h.counts > 0].min(), h.edges[1:][h.counts > 0].max())
        for h in histograms.values()
        if h.counts.any()
    ]
    low, high = zip(*filled, strict=True) if filled else ((1.0,), (10.0,))
    return 0.9 * float(min(low)), 1.1 * float(max(high))
