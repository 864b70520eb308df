"""How every figure looks: sizes of a paper's column, colours for all readers, plain axes, PNGs."""

import io
import math
from collections.abc import Sequence
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
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""Beside the colours, so that lines are told apart in grey, too."""
SINGLE_IN, DOUBLE_IN = 3.3, 7.0
"""Widths of a figure in one column of a paper and across two."""
TITLE, LABEL, TICK = 8, 8, 7
"""Font sizes in points, at those widths."""
DPI = 800 / SINGLE_IN
"""A figure of one column is 800 pixels wide."""
BAR_ASPECT = 30
"""A colour bar's length over its width."""
COLOUR_MAP = "viridis"
UNKNOWN = "#BBBBBB"
"""Where a value is not finite."""
ON_BRIGHT = "#111111"
"""Text on bright cells. It is not black, which pages draw in their own ink, bright by night."""


def titled(
    title: str, *, height_in: float, width_in: float = SINGLE_IN, panels: tuple[int, int] = (1, 1)
) -> "tuple[Figure, NDArray[Any]]":
    """A new figure and its axes ``(rows, columns)``; "" is no title.

    No display is needed, and none is kept.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), dpi=DPI, layout="constrained")
    if title:
        figure.suptitle(title, fontsize=TITLE)
    grid = figure.subplots(*panels, squeeze=False)
    for axes in grid.flat:
        axes.tick_params(which="both", labelsize=TICK, width=0.6, length=2.5)
        axes.spines[:].set_linewidth(0.6)
    return figure, grid


def stacked(title: str, *, height_in: float) -> "tuple[Figure, Axes, Axes]":
    """A new figure of two panels over one x axis."""
    figure, ((above,), (beneath,)) = titled(title, height_in=height_in, panels=(2, 1))
    above.sharex(beneath)
    above.tick_params(which="both", labelbottom=False)
    for axes in (above, beneath):
        opened(axes)
    return figure, above, beneath


def opened(axes: "Axes") -> None:
    """Axes of curves: a frame on two sides only."""
    axes.spines[["top", "right"]].set_visible(False)


def labelled(axes: "Axes", *, x: str = "", y: str = "") -> None:
    """Name the axes, with units."""
    if x:
        axes.set_xlabel(x, fontsize=LABEL)
    if y:
        axes.set_ylabel(y, fontsize=LABEL)


def counted(axis: "Axis", label: str) -> None:
    """An axis of blocks or heads: whole numbers, from 0."""
    from matplotlib.ticker import MaxNLocator

    axis.set_label_text(label, fontsize=LABEL)
    axis.set_major_locator(MaxNLocator(12, steps=[1, 2, 4, 10], integer=True, min_n_ticks=1))


def with_legend(axes: "Axes", **places: Any) -> None:
    """The names of the curves, without a frame."""
    small = {"fontsize": TICK, "frameon": False, "handlelength": 1.6, "labelspacing": 0.25}
    axes.legend(**{"borderaxespad": 0.2, "columnspacing": 1.0, **small, **places})


def named(bar: "Colorbar", label: str) -> None:
    """Name a colour bar."""
    bar.set_label(label, fontsize=LABEL)
    bar.ax.tick_params(which="both", labelsize=TICK, width=0.6, length=2.5)
    bar.outline.set_linewidth(0.6)


def colours() -> "Colormap":
    """The colour map, grey where a value is not finite."""
    from matplotlib import colormaps

    return colormaps[COLOUR_MAP].with_extremes(bad=UNKNOWN)


def finite(values: "NDArray[Any]") -> "NDArray[Any]":
    """As float64, with nan for whatever cannot stand on a logarithmic or linear axis."""
    import numpy as np

    plain = np.asarray(values, dtype=np.float64)
    return np.where(np.isfinite(plain) & (np.abs(plain) < LARGEST), plain, np.nan)


LARGEST = 1e30
"""Beyond it a norm says no more than that the model diverged."""


def half_decades(lowest: float, highest: float) -> tuple[float, float]:
    """The span outward to whole half-decades, at least one decade; 1 to 10 for what is none.

    So an axis stays calm from one probe to the next.
    """
    if not (0 < lowest <= highest < math.inf):
        return 1.0, 10.0
    low = 10 ** (math.floor(2 * math.log10(lowest) + 1e-9) / 2)
    high = 10 ** (math.ceil(2 * math.log10(highest) - 1e-9) / 2)
    return low, max(high, 10 * low)


def round_above(value: float) -> float:
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


def plain_log_ticks(axis: "Axis", low: float, high: float) -> None:
    """A logarithmic axis from ``low`` to ``high`` with few ticks, written 30 and not 3 x 10^1."""
    from matplotlib.ticker import LogLocator, StrMethodFormatter

    decades = math.log10(high / low)
    subs = next(subs for most, subs in _LABELLED if decades <= most)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter("")


def log_limits(axes: "Axes", values: "NDArray[Any]") -> None:
    """A logarithmic y axis that holds all values above 0; without any it says so."""
    import numpy as np

    above = values[np.isfinite(values) & (values > 0)]
    low, high = (float(above.min()), float(above.max())) if above.size else (1.0, 10.0)
    low, high = low / 1.15, high * 1.15
    if high < 2 * low:
        low, high = low / 1.5, high * 1.5
    axes.set_ylim(low, high)  # first: what is all zeros cannot be scaled by itself
    axes.set_yscale("log")
    plain_log_ticks(axes.yaxis, low, high)
    said_if_none(axes, above)


def said_if_none(axes: "Axes", values: "NDArray[Any]") -> None:
    """Say that no value is finite, if so."""
    import numpy as np

    if not np.isfinite(values).any():
        said(axes, "no values to show")


def said(axes: "Axes", words: str) -> None:
    """Say on a panel itself why it is empty, which would look like a defect."""
    place: dict[str, Any] = {"transform": axes.transAxes, "ha": "center", "va": "center"}
    axes.text(0.5, 0.5, words, fontsize=LABEL, color="#666666", **place)


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
