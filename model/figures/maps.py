"""Maps over images: what each patch token has, beneath the patch."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from model.figures.found import Probed
from model.figures.style import (
    BAR_ASPECT,
    LABEL,
    colours,
    finite,
    named,
    round_above,
    titled,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

ATTENTION = "attention, mean over heads (1: uniform)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Maps:
    """Values of patches ``(rows, images, h, w)``, and what they are."""

    values: "NDArray[Any]"
    title: str
    label: str
    least_top: float = 0
    """The scale reaches at least so far."""
    rows: tuple[str, ...] = ()
    """Names of the rows."""


def norm_map(probed: Probed) -> "Figure | None":
    """The first images, beneath each the norms of its patch tokens before the final norm."""
    maps = probed.arrays.get("norms/maps")  # (images, h, w)
    if maps is None:
        return None
    title = probed.titled("Norms of patch tokens, last block")
    return _maps_beneath(probed.images, Maps(values=maps[None], title=title, label="L2 norm"))


def attention_map(probed: Probed) -> "Figure | None":
    """The first images, beneath each where its class token looks in the last block."""
    maps = probed.arrays.get("attention/cls_maps")  # (images, h, w)
    if maps is None:
        return None
    title = probed.titled("Attention of the class token, last block")
    shown = Maps(values=_over_uniform(maps)[None], title=title, label=ATTENTION, least_top=2)
    return _maps_beneath(probed.images, shown)


def register_maps(probed: Probed) -> "Figure | None":
    """The first images, beneath each where its registers look in the last block, a row for each."""
    import numpy as np

    maps = probed.arrays.get("attention/register_maps")  # (images, registers, h, w)
    if maps is None or not maps.shape[1]:
        return None
    title = probed.titled("Attention of the registers, last block")
    values = np.moveaxis(_over_uniform(maps), 1, 0)
    names = tuple(f"register {k}" for k in range(len(values)))
    shown = Maps(values=values, title=title, label=ATTENTION, least_top=2, rows=names)
    return _maps_beneath(probed.images, shown)


def _over_uniform(maps: "NDArray[Any]") -> "NDArray[Any]":
    """Shares of attention in units of a uniform one over the patches."""
    patches: int = maps.shape[-2] * maps.shape[-1]
    shares: NDArray[Any] = maps.astype(float)
    return shares * patches


def _maps_beneath(images: "NDArray[Any]", maps: Maps) -> "Figure":
    """Images in one row, their maps in the next ones, all on one scale from 0 to a round number."""
    import numpy as np

    height = max(1.8, 0.7 + 0.52 * (1 + len(maps.values)))
    panels = (1 + len(maps.values), len(images))
    figure, grid = titled(maps.title, height_in=height, panels=panels)
    top = round_above(max(maps.least_top, float(np.nanmax(finite(maps.values), initial=0))))
    for axes, image in zip(grid[0], images, strict=True):
        axes.imshow(image.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=255)
    squares = maps.values.reshape(-1, *maps.values.shape[2:])
    for axes, values in zip(grid[1:].flat, squares, strict=True):
        known = np.ma.masked_invalid(finite(values))
        shown = axes.imshow(known, vmin=0, vmax=top, cmap=colours(), interpolation="nearest")
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    for axes, name in zip(grid[1:, 0], maps.rows, strict=False):
        axes.set_ylabel(name, fontsize=LABEL, rotation=0, ha="right", va="center")
    bar = figure.colorbar(shown, ax=grid, aspect=BAR_ASPECT * 1.5, location="bottom")
    named(bar, maps.label)
    return figure
