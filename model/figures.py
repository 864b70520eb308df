"""Figures of what the probes found, from the arrays that they left."""

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.colorbar import Colorbar
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

COLOURS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#f0e442"),
    *("#999999", "#882255", "#44aa99", "#332288"),
)
"""Okabe and Ito's, then some of Tol's: told apart by colour-blind readers."""
_COLOUR_MAP = "viridis"
_UNKNOWN = "#BBBBBB"
"""Where a value is not finite."""
_WIDTH_IN, _DPI = 8, 100
_TITLE, _LABEL, _TICK = 18, 16, 14
"""Font sizes in points: a grid of pictures shows them at half their size."""
_BAR_ASPECT = 30
"""A colour bar's length over its width."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Counts of values in bins: ``counts`` has n entries, ``edges`` n + 1, ascending."""

    counts: "NDArray[Any]"
    edges: "NDArray[Any]"

    def median(self) -> float:
        """The median, placed inside its bin as if the bin were filled evenly."""
        import numpy as np

        below = np.concatenate([[0], np.cumsum(self.counts)])
        return float(np.interp(below[-1] / 2, below, self.edges))


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What one probe left to be drawn."""

    arrays: "Mapping[str, NDArray[Any]]"
    """By the names under which `model.probes` leaves them."""
    images: "NDArray[Any]"
    """Those whose maps are among the arrays, uint8 ``(n, C, H, W)``."""
    epoch: int
    """Complete epochs."""


def norms_by_arm(histograms: Mapping[str, Histogram]) -> "Figure":
    """The distribution of final-block patch-token norms, one row for each arm.

    Takes ``norms/by_block/histogram`` (its last row) and ``norms/histogram_edges``. Both axes are
    logarithmic: artifacts are a few tokens in a thousand, at several times the median. Drawn 8
    inches wide, so that 100 dots an inch fill 800 pixels.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import (
        LogLocator,
        NullLocator,
        StrMethodFormatter,
    )

    figure = Figure(figsize=(_WIDTH_IN, 1.1 + 1.15 * len(histograms)), layout="constrained")
    rows = figure.subplots(len(histograms), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for i, (axes, (arm, histogram)) in enumerate(zip(rows, histograms.items(), strict=True)):
        _draw_arm(axes, arm, histogram, colour=COLOURS[i % len(COLOURS)])
    rows[0].set(xscale="log", yscale="log", xlim=_limits(histograms))
    rows[-1].xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    rows[-1].xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    rows[-1].xaxis.set_minor_locator(NullLocator())
    rows[-1].set_xlabel("L2 norm of patch tokens, output of the last block before the final norm")
    figure.supylabel("share of patch tokens per bin", fontsize="medium")
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
    low, high = _half_decades(counts.sum(axis=0) > 0, edges)
    figure, axes = _titled(f"Norms of patch tokens by block, epoch {probed.epoch}", height_in=4.6)
    mesh = axes.pcolormesh(
        edges,
        np.arange(depth + 1) - 0.5,
        np.ma.masked_equal(counts / tokens, 0),
        norm=LogNorm(10 ** math.floor(-math.log10(max(tokens, 100))), 0.1),
        cmap=_COLOUR_MAP,
    )
    axes.plot(medians, np.arange(depth), "o", ms=8, mfc="white", mec="black", mew=1.5)
    axes.set(xscale="log", xlim=(low, high), ylim=(depth - 0.5, -0.5))
    axes.set_xlabel("L2 norm (circle: median)", fontsize=_LABEL)
    _counted(axes.yaxis, "block")
    _plain_log_ticks(axes, decades=math.log10(high / low))
    bar = figure.colorbar(mesh, ax=axes, aspect=_BAR_ASPECT, extend="max")
    _named(bar, "share of tokens per bin")
    return figure


def norm_map(probed: Probed) -> "Figure | None":
    """The first images, beneath each the norms of its patch tokens before the final norm."""
    maps = probed.arrays.get("norms/maps")  # (images, h, w)
    if maps is None:
        return None
    return _maps_beneath_images(
        probed,
        maps,
        title=f"Norms of patch tokens, last block, epoch {probed.epoch}",
        label="L2 norm",
    )


def attention_map(probed: Probed) -> "Figure | None":
    """The first images, beneath each where its class token looks in the last block."""
    maps = probed.arrays.get("attention/cls_maps")  # (images, h, w)
    if maps is None:
        return None
    return _maps_beneath_images(
        probed,
        maps.astype(float) * maps[0].size,
        title=f"Attention of the class token, last block, epoch {probed.epoch}",
        label="mean over heads, times the number of patches (1: uniform)",
        least_top=2,
    )


def gate_map(probed: Probed) -> "Figure | None":
    """How far the gate of each block and head is open, on a scale that never changes."""
    import numpy as np

    means = probed.arrays.get("gates/by_head/mean")  # (depth, heads)
    if means is None:
        return None
    figure, axes = _titled(f"Mean gate of patch tokens, epoch {probed.epoch}", height_in=4.6)
    shown = axes.imshow(np.ma.masked_invalid(means), vmin=0, vmax=1, cmap=_colours(), aspect="auto")
    _counted(axes.xaxis, "head")
    _counted(axes.yaxis, "block")
    if max(means.shape) <= 12:
        for (block, head), mean in np.ndenumerate(means):
            colour = "white" if mean < 0.6 else "black"
            axes.text(
                head, block, f"{mean:.2f}", color=colour, fontsize=_TICK, ha="center", va="center"
            )
    _named(figure.colorbar(shown, ax=axes, aspect=_BAR_ASPECT), "0: shut, 1: open")
    return figure


PICTURES: Mapping[str, Callable[[Probed], "Figure | None"]] = {
    "norms_by_block": norms_by_block,
    "norm_map": norm_map,
    "attention_map": attention_map,
    "gate_map": gate_map,
}
"""Name -> drawing of what one probe left; None where the model has nothing of the kind."""


def png(figure: "Figure") -> bytes:
    """The figure as a PNG of 256 colours; equal figures give equal bytes.

    Photographs in all colours would take four times the space, at every probe of every job.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    content, size = FigureCanvasAgg(figure).print_to_buffer()  # type: ignore[no-untyped-call]
    drawn = Image.frombytes("RGBA", size, content).convert("RGB")
    buffer = io.BytesIO()
    drawn.quantize(256, dither=Image.Dither.NONE).save(buffer, "png", optimize=True)
    return buffer.getvalue()


def _maps_beneath_images(
    probed: Probed, maps: "NDArray[Any]", *, title: str, label: str, least_top: float = 0
) -> "Figure":
    """Images in one row, their maps in the next, on one scale from 0 to at least ``least_top``."""
    import numpy as np
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH_IN, 4.2), dpi=_DPI, layout="constrained")
    figure.suptitle(title, fontsize=_TITLE)
    rows = figure.subplots(2, len(maps), squeeze=False)
    finite = maps[np.isfinite(maps)]
    top = _round_above(max(least_top, float(finite.max(initial=0))))
    for above, beneath, image, values in zip(*rows, probed.images, maps, strict=True):
        above.imshow(image.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=255)
        shown = beneath.imshow(
            np.ma.masked_invalid(values), vmin=0, vmax=top, cmap=_colours(), interpolation="nearest"
        )
    for axes in rows.flat:
        axes.set_axis_off()
    _named(figure.colorbar(shown, ax=rows, aspect=_BAR_ASPECT, location="bottom"), label)
    return figure


def _titled(title: str, *, height_in: float) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH_IN, height_in), dpi=_DPI, layout="constrained")
    figure.suptitle(title, fontsize=_TITLE)
    axes = figure.subplots()
    axes.tick_params(labelsize=_TICK)
    return figure, axes


def _counted(axis: "Axis", label: str) -> None:
    """An axis of blocks or heads: whole numbers, from 0."""
    from matplotlib.ticker import MaxNLocator

    axis.set_label_text(label, fontsize=_LABEL)
    axis.set_major_locator(MaxNLocator(12, steps=[1, 2, 4, 10], integer=True, min_n_ticks=1))


def _named(bar: "Colorbar", label: str) -> None:
    bar.set_label(label, fontsize=_LABEL)
    bar.ax.tick_params(labelsize=_TICK)


def _colours() -> "Colormap":
    """The colour map, grey where a value is not finite."""
    from matplotlib import colormaps

    return colormaps[_COLOUR_MAP].with_extremes(bad=_UNKNOWN)


def _half_decades(filled: "NDArray[Any]", edges: "NDArray[Any]") -> tuple[float, float]:
    """The span of the filled bins, outward to whole half-decades; at least one decade."""
    if not filled.any():
        return 1.0, 10.0
    lowest, highest = float(edges[:-1][filled].min()), float(edges[1:][filled].max())
    low = 10 ** (math.floor(2 * math.log10(lowest)) / 2)
    high = 10 ** (math.ceil(2 * math.log10(highest)) / 2)
    return low, max(high, 10 * low)


def _round_above(value: float) -> float:
    """The next of a few round numbers times a power of ten; 1 for what is not above 0."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    steps = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
    return power * next((step for step in steps if value <= step * power), 10)


# span of a logarithmic axis in decades, up to which these multiples of ten's powers are labelled
_LABELLED: tuple[tuple[float, Sequence[float]], ...] = (
    (1.5, (1, 2, 5)),
    (3.0, (1, 3)),
    (math.inf, (1,)),
)


def _plain_log_ticks(axes: "Axes", *, decades: float) -> None:
    from matplotlib.ticker import LogLocator, StrMethodFormatter

    subs = next(subs for most, subs in _LABELLED if decades <= most)
    axes.xaxis.set_major_locator(LogLocator(subs=subs))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter("")


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
