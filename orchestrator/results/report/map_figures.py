"""What is seen inside: attention maps of the same images across arms, and gates by head."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from model.figures.gates import head_map
from model.figures.style import (
    BAR_ASPECT,
    LABEL,
    TICK,
    colours,
    finite,
    named,
    round_above,
    titled,
)
from orchestrator.results.report.drawing import CARD_IN, WIDE_IN, Picture
from orchestrator.results.report.numbers import counted, plain
from orchestrator.results.report.study import Arm, Inside, Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

ROW_IN = 0.5
LEAST_TOP = 2.0
"""The scale of maps reaches at least so many times uniform attention."""


def attention_figure(study: Study) -> Picture | None:
    """Where the class token looks in the last block, an arm a row; of those with the same images.

    Of several such lists that of most arms. None: fewer than two arms have maps of the same.
    """
    import numpy as np

    shown = _same_images(study)
    if len(shown) < 2:
        return None
    maps = [_over_uniform(inside.maps) for _, inside in shown]
    top = round_above(max(LEAST_TOP, *(float(np.nanmax(finite(one), initial=0)) for one in maps)))
    images = next((one.images for _, one in shown if one.images is not None), None)
    peaks = [
        f"{arm.name} {plain(float(np.nanmax(one)), 1)}"
        for (arm, _), one in zip(shown, maps, strict=True)
    ]
    return Picture(
        name="attention_maps",
        title="Attention of the class token, the same images in every arm",
        caption="Where the class token looks in the last block at the last probe"
        f"{_at([inside for _, inside in shown])}: its attention to "
        "each patch, mean over heads, over that of uniform attention, all on one scale; of each "
        "arm the first seed. A clean map follows the object; artifacts take much of the attention "
        "in a few patches beside it.",
        alt=f"Maps of {len(maps[0])} images for {len(shown)} arms. The most attended patch has, "
        f"in units of uniform attention: {', '.join(peaks)}.",
        figure=_draw([arm.name for arm, _ in shown], images, maps, top),
    )


def _same_images(study: Study) -> list[tuple[Arm, Inside]]:
    told = [(arm, study.inside[arm.key]) for arm in study.arms if arm.key in study.inside]
    with_maps = [(arm, inside) for arm, inside in told if inside.maps is not None]
    lists = [(inside.batch, inside.maps.shape) for _, inside in with_maps]  # type: ignore[union-attr]
    most = max(lists, key=lists.count, default=None)
    return [one for one, images in zip(with_maps, lists, strict=True) if images == most]


def _over_uniform(maps: Any) -> "NDArray[Any]":
    import numpy as np

    found: NDArray[Any] = np.asarray(maps, dtype=float) * (maps.shape[-2] * maps.shape[-1])
    return found


def _draw(
    names: Sequence[str],
    images: "NDArray[Any] | None",
    maps: "Sequence[NDArray[Any]]",
    top: float,
) -> "Figure":
    import numpy as np

    rows = len(maps) + (images is not None)
    count = len(maps[0])
    figure, grid = titled(
        "", width_in=WIDE_IN, height_in=0.55 + ROW_IN * rows, panels=(rows, count)
    )
    labels = [*(["images"] if images is not None else []), *names]
    if images is not None:
        for axes, image in zip(grid[0], images, strict=True):
            axes.imshow(image.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=255)
    for line, one in zip(grid[rows - len(maps) :], maps, strict=True):
        for axes, values in zip(line, one, strict=True):
            known = np.ma.masked_invalid(finite(values))
            drawn = axes.imshow(known, vmin=0, vmax=top, cmap=colours(), interpolation="nearest")
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    for axes, name in zip(grid[:, 0], labels, strict=True):
        axes.set_ylabel(name, fontsize=TICK, rotation=0, ha="right", va="center")
    bar = figure.colorbar(drawn, ax=grid, aspect=BAR_ASPECT * 1.5, location="bottom")
    named(bar, "attention, mean over heads (1: uniform)")
    bar.ax.xaxis.label.set_fontsize(LABEL)
    return figure


def gate_figures(study: Study) -> Iterator[Picture]:
    """Of each gated arm the mean gate of each block and head, and how sparse it is."""
    for place, arm in enumerate(study.arms):
        inside = study.inside.get(arm.key)
        if inside is None or inside.gate_means is None:
            continue
        of = f"means over {counted(inside.seeds, 'seed')}{_at([inside])}"
        yield _gate(arm, f"gates_{place}_mean", "mean gate", inside.gate_means, of)
        if inside.gate_sparsity is not None:
            name, what = f"gates_{place}_sparsity", "share of gates below 0.1"
            yield _gate(arm, name, what, inside.gate_sparsity, of)


def _at(some: Sequence[Inside]) -> str:
    """The epochs of the last probes."""
    epochs = sorted({epoch for inside in some for epoch in inside.epochs})
    if not epochs:
        return ""
    return f" (epoch {epochs[0]})" if len(epochs) == 1 else f" (epochs {epochs[0]} to {epochs[-1]})"


def _gate(arm: Arm, name: str, what: str, values: "NDArray[Any]", of: str) -> Picture:
    import numpy as np

    figure = head_map(values, "", what)
    figure.set_figwidth(CARD_IN)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return Picture(
        name=name,
        title=f"{arm.name}: {what}",
        caption=f"Of each block and head, over patch tokens, {of}.",
        alt=f"{what.capitalize()} of {arm.name} by block and head: mean "
        f"{float(np.nanmean(values)):.2f}, from {low:.2f} to {high:.2f}.",
        figure=figure,
    )
