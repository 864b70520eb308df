"""Figures of the norms of tokens: by arm, by block, over epochs."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from model.figures.found import Histogram, Probed
from model.figures.ridges import HEIGHT, LINE, Ridge, draw_ridges
from model.figures.style import (
    BAR_ASPECT,
    COLOUR_MAP,
    COLOURS,
    DOUBLE_IN,
    LABEL,
    MARKERS,
    SINGLE_IN,
    TICK,
    counted,
    finite,
    half_decades,
    labelled,
    log_limits,
    named,
    opened,
    plain_log_ticks,
    said,
    said_if_none,
    stacked,
    titled,
    with_legend,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

FINAL_NORM = "L2 norm of patch tokens, output of the last block before the final norm"
MOST_EPOCHS = 12
"""Rows of `norms_over_epochs`; of more epochs so many are shown, evenly chosen."""
RARE, FREQUENT = 1e-5, 1e-1
"""Shares of tokens per bin between which heights of `norms_over_epochs` are logarithmic."""


def norms_by_arm(histograms: Mapping[str, Histogram]) -> "Figure":
    """The distribution of final-block patch-token norms, one row for each arm.

    Takes ``norms/by_block/histogram`` (its last row) and ``norms/histogram_edges``. Both axes are
    logarithmic: artifacts are a few tokens in a thousand, at several times the median.
    """
    count = len(histograms)
    figure, grid = titled("", width_in=DOUBLE_IN, height_in=0.8 + 0.95 * count, panels=(count, 1))
    rows = grid[:, 0]
    for i, (axes, (arm, histogram)) in enumerate(zip(rows, histograms.items(), strict=True)):
        _draw_arm(axes, arm, histogram, colour=COLOURS[i % len(COLOURS)])
        if axes is not rows[-1]:
            axes.sharey(rows[-1])
            axes.sharex(rows[-1])
            axes.tick_params(labelbottom=False)
    low, high = _limits(histograms)
    rows[-1].set(xscale="log", yscale="log", xlim=(low, high))
    plain_log_ticks(rows[-1].xaxis, low, high)
    labelled(rows[-1], x=FINAL_NORM)
    figure.supylabel("share of patch tokens per bin", fontsize=LABEL)
    return figure


def norms_by_block(probed: Probed) -> "Figure | None":
    """The distribution of patch-token norms after each block, a row of colours for each.

    Both scales are logarithmic, so that the few tokens of an artifact show. The axis ends at whole
    half-decades and the colours at whole decades: both stay calm from one probe to the next.
    """
    import numpy as np
    from matplotlib.colors import LogNorm

    counts = probed.arrays.get("norms/by_block/histogram")  # (depth, bins)
    if counts is None:
        return None
    edges = probed.arrays["norms/histogram_edges"]
    medians = np.ma.masked_invalid(probed.arrays["norms/by_block/median"])
    depth, tokens = len(counts), max(int(counts.sum(axis=1).max()), 1)
    low, high = _filled(counts.sum(axis=0) > 0, edges)
    figure, ((axes,),) = titled(probed.titled("Norms of patch tokens by block"), height_in=1.9)
    mesh = axes.pcolormesh(
        edges,
        np.arange(depth + 1) - 0.5,
        np.ma.masked_equal(counts / tokens, 0),
        norm=LogNorm(10 ** math.floor(-math.log10(max(tokens, 100))), 0.1),
        cmap=COLOUR_MAP,
        rasterized=True,
    )
    axes.plot(medians, np.arange(depth), "o", ms=3.3, mfc="white", mec="black", mew=0.7)
    axes.set(xscale="log", xlim=(low, high), ylim=(depth - 0.5, -0.5))
    labelled(axes, x="L2 norm (circle: median)")
    counted(axes.yaxis, "block")
    plain_log_ticks(axes.xaxis, low, high)
    bar = figure.colorbar(mesh, ax=axes, aspect=BAR_ASPECT, extend="max")
    named(bar, "share of tokens per bin")
    return figure


# array -> how a curve over depth is named; CLS and registers stand apart from the patches
_CURVES: tuple[tuple[str, str], ...] = (
    ("norms/by_block/median", "patches, median"),
    ("norms/by_block/max", "patches, largest"),
    ("norms/by_block/cls", "class token, mean"),
    ("norms/by_block/register", "registers, mean"),
)


def norms_by_depth(probed: Probed) -> "Figure | None":
    """Norms over depth: median, band and maximum of patches, class token, registers; outliers."""
    import numpy as np

    if "norms/by_block/quantiles" not in probed.arrays:
        return None
    figure, above, beneath = stacked(probed.titled("Norms of tokens over depth"), height_in=3.4)
    low, mid, high = _quantiles(probed, (0.05, 0.5, 0.95))
    blocks = np.arange(len(mid))
    band = {"color": COLOURS[0], "alpha": 0.25, "linewidth": 0, "label": "patches, 5 to 95 %"}
    above.fill_between(blocks, low, high, **band)  # type: ignore[arg-type]
    seen = [low, high]
    for (name, label), colour, marker in zip(_CURVES, COLOURS, MARKERS, strict=False):
        values = probed.arrays.get(name)  # (depth,), or (depth, tokens) of a kind
        if values is not None and values.size:
            seen.append(finite(values.reshape(len(values), -1)).mean(axis=1))
            above.plot(
                blocks, seen[-1], color=colour, marker=marker, ms=3, linewidth=1, label=label
            )
    log_limits(above, np.concatenate(seen))
    labelled(above, y="L2 norm")
    with_legend(above, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    _draw_outliers(beneath, blocks, finite(probed.arrays["norms/by_block/outlier_share"]))
    beneath.set_xlim(-0.5, len(blocks) - 0.5)
    return figure


def _draw_outliers(axes: "Axes", blocks: "NDArray[Any]", shares: "NDArray[Any]") -> None:
    """The share of outlier tokens in percent, as bars; the axis reaches one in a thousand."""
    import numpy as np

    percent = 100 * np.nan_to_num(shares)
    axes.bar(blocks, percent, width=0.7, color=COLOURS[1])
    axes.set_ylim(0, max(0.1, 1.15 * float(percent.max())))
    labelled(axes, y="outliers (%)")
    said_if_none(axes, shares)
    if (shares == 0).all():
        said(axes, "no outliers")
    counted(axes.xaxis, "block")


def norms_over_epochs(
    histograms: Mapping[int, Histogram],
    *,
    colour: str = "",
    span: tuple[float, float] | None = None,
    emerged: Mapping[str, tuple[int, int]] = MappingProxyType({}),
) -> "Figure":
    """How the patch norms of one model changed in training: a row for each epoch, oldest on top.

    Takes the last rows of ``norms/by_block/histogram`` of several probes, whose bins are the same.
    Heights are logarithmic from one token in 100,000 to one in ten per bin, so that the few tokens
    of an artifact stand out; a tick marks each median.

    Args:
        histograms: by epoch.
        colour: of all rows; "": they go from dark to bright.
        span: of the axis of norms, where several figures are to be compared.
        emerged: by name of a run, the epochs between which artifacts emerged in it: a bracket.
    """
    import numpy as np
    from matplotlib import colormaps

    shown = evenly(sorted(histograms), MOST_EPOCHS)
    chosen = [histograms[epoch] for epoch in shown]
    figure, ((axes,),) = titled("", width_in=SINGLE_IN, height_in=0.9 + HEIGHT * max(len(shown), 3))
    tints = (
        [colour] * len(shown)
        if colour
        else colormaps["viridis"](np.linspace(0.05, 0.85, len(shown)))
    )
    low, high = span or norm_span(chosen)
    edges = chosen[0].edges
    seen = (edges[1:] > low) & (edges[:-1] < high)  # most bins are empty, and would only take space
    rows = [
        Ridge(name=str(epoch), heights=_heights(one)[seen], colour=tint, mark=_mark(one))
        for epoch, one, tint in zip(shown, chosen, tints, strict=True)
    ]
    kept = np.append(edges[:-1][seen], edges[1:][seen][-1:])
    draw_ridges(axes, rows, kept, alpha=0.55 if colour else 0.75)
    axes.set(xscale="log", xlim=(low, high))
    plain_log_ticks(axes.xaxis, low, high)
    labelled(axes, x="L2 norm of patch tokens, last block", y="epoch")
    for place, (name, epochs) in enumerate(emerged.items()):
        _bracket(axes, 1.04 + 0.07 * place, np.interp(epochs, shown, -np.arange(len(shown))), name)
    return figure


def norm_span(histograms: Sequence[Histogram]) -> tuple[float, float]:
    """The norms that an axis has to reach to hold all of these histograms, of the same bins."""
    import numpy as np

    counts = np.sum([one.counts for one in histograms], axis=0)
    return _filled(counts > 0, histograms[0].edges)


def _bracket(axes: "Axes", x: float, ends: "NDArray[Any]", name: str) -> None:
    """A bar beside the rows, from one height to another; ``x`` in widths of the axes."""
    place: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "clip_on": False}
    axes.plot([x, x], ends, color=LINE, linewidth=1.6, marker="_", ms=5, **place)
    axes.text(x, float(max(ends)) + 0.25, name, color=LINE, fontsize=TICK, ha="center", **place)


def _mark(histogram: Histogram) -> float | None:
    return histogram.median() if histogram.counts.any() else None


def _heights(histogram: Histogram) -> "NDArray[Any]":
    import numpy as np

    shares = np.clip(histogram.shares(), RARE, FREQUENT)
    heights: NDArray[Any] = np.log10(shares / RARE) / math.log10(FREQUENT / RARE)
    return heights


def evenly(values: Sequence[int], most: int) -> list[int]:
    """At most so many of the values, first and last among them."""
    if len(values) <= most:
        return list(values)
    return [values[round(i * (len(values) - 1) / (most - 1))] for i in range(most)]


def _quantiles(probed: Probed, levels: Sequence[float]) -> "list[NDArray[Any]]":
    """The quantiles of each block's patch norms at these levels, each ``(depth,)``."""
    import numpy as np

    known = probed.arrays["norms/quantile_levels"]
    values = finite(probed.arrays["norms/by_block/quantiles"])  # (depth, levels)
    return [values[:, int(np.abs(known - level).argmin())] for level in levels]


def _filled(filled: "NDArray[Any]", edges: "NDArray[Any]") -> tuple[float, float]:
    """The span of the filled bins, outward to whole half-decades; at least one decade."""
    if not filled.any():
        return 1.0, 10.0
    return half_decades(float(edges[:-1][filled].min()), float(edges[1:][filled].max()))


def _draw_arm(axes: "Axes", arm: str, histogram: Histogram, *, colour: str) -> None:
    median = histogram.median()
    axes.stairs(histogram.shares(), histogram.edges, fill=True, color=colour, alpha=0.85)
    axes.axvline(median, color="black", linewidth=0.8, linestyle="--")
    axes.set_title(f"{arm}   (median {median:.3g}, dashed)", loc="left", fontsize=LABEL)
    opened(axes)
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
