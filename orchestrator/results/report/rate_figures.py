"""What arms bear: final accuracy, loss and gradient norm against the learning rate."""

import math
from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from model.figures.style import TICK, labelled, opened, titled, with_legend
from orchestrator.results.report.drawing import CARD_IN, Picture
from orchestrator.results.report.numbers import listed, plain, rate
from orchestrator.results.report.study import ACCURACY, Arm, Run, Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEIGHT_IN = 2.6
LARGEST = "stability/grad_norm_max"
"""By epoch: the last one's is that of the smallest rate, so the largest of all is told."""
PANELS = (
    (ACCURACY, "accuracy", "top-1 (%)", "Top-1 after the last epoch."),
    ("val/loss", "loss", "validation loss (nats)", "Cross-entropy after the last epoch."),
    (
        LARGEST,
        "gradient norm",
        "largest gradient norm",
        "The largest norm of a step's gradient after the warm-up, before clipping.",
    ),
)
"""Metric, its word in titles, the axis, and what the caption says first."""


def rate_figures(study: Study) -> Iterator[Picture]:
    """A figure for each panel, of the arms that were trained at two rates or more."""
    arms = [arm for arm in study.arms if len(arm.by_rate) > 1]
    for metric, word, axis, said in PANELS:
        shown = [arm for arm in arms if any(_ended(r, metric) for r in arm.by_rate.values())]
        if not any(_values(r, metric) for arm in shown for r in arm.by_rate.values()):
            continue
        yield Picture(
            name=f"rates_{word.replace(' ', '_')}",
            title=f"Learning rate and {word}",
            caption=f"{said} Means over the seeds that finished; bars reach from the lowest to the "
            "highest. A cross on the lower edge stands for runs that diverged, with their number.",
            alt=_told(shown, metric, word),
            figure=_draw(shown, metric, axis),
        )


def _ended(runs: Sequence[Run], metric: str) -> bool:
    return bool(_values(runs, metric)) or any(run.diverged for run in runs)


def _values(runs: Sequence[Run], metric: str) -> list[float]:
    of = Run.most if metric == LARGEST else Run.last
    found = (of(run, metric) for run in runs if run.finished)
    return [value for value in found if value is not None and math.isfinite(value)]


def _draw(arms: Sequence[Arm], metric: str, axis: str) -> "Figure":
    figure, ((axes,),) = titled("", width_in=CARD_IN, height_in=HEIGHT_IN)
    opened(axes)
    axes.grid(alpha=0.25, linewidth=0.5)
    rates = sorted({lr for arm in arms for lr in arm.by_rate})
    places = {lr: number for number, lr in enumerate(rates)}
    for number, arm in enumerate(arms):
        shift = 0.08 * (number - (len(arms) - 1) / 2)
        _draw_arm(axes, arm, metric, {lr: place + shift for lr, place in places.items()})
    axes.set_xticks([*places.values()], [rate(lr) for lr in rates])
    axes.set_xlim(-0.4, len(rates) - 0.6)
    labelled(axes, x="learning rate", y=axis)
    with_legend(axes, loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=2)
    return figure


def _draw_arm(axes: "Axes", arm: Arm, metric: str, places: dict[float, float]) -> None:
    known = {lr: values for lr, runs in arm.by_rate.items() if (values := _values(runs, metric))}
    spreads = {lr: (fmean(values), min(values), max(values)) for lr, values in known.items()}
    xs = [places[lr] for lr in spreads]
    middles = [middle for middle, _, _ in spreads.values()]
    bars = [
        [m - low for m, low, _ in spreads.values()],
        [high - m for m, _, high in spreads.values()],
    ]
    style: dict[str, Any] = {"color": arm.mark.colour, "linestyle": arm.mark.line, "linewidth": 1.2}
    axes.errorbar(
        *(xs, middles, bars),
        **style,
        marker=arm.mark.marker,
        ms=4.5,
        elinewidth=0.9,
        capsize=2,
        label=arm.name,
    )
    for lr, runs in arm.by_rate.items():
        if lost := sum(run.diverged for run in runs):
            x = places[lr]
            edge: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "clip_on": False}
            axes.plot([x], [0], marker="x", ms=6, mew=1.6, color=arm.mark.colour, **edge)
            axes.text(x, 0.04, f"{lost}", fontsize=TICK, ha="center", **edge)


def _told(arms: Sequence[Arm], metric: str, word: str) -> str:
    parts = []
    for arm in arms:
        points = []
        for lr, runs in arm.by_rate.items():
            values, lost = _values(runs, metric), sum(run.diverged for run in runs)
            said = [plain(fmean(values))] if values else []
            said += [f"{lost} diverged"] if lost else []
            if said:
                points.append(f"{' and '.join(said)} at {rate(lr)}")
        parts.append(f"{arm.name}: {listed(points)}")
    return f"Mean {word} by learning rate. {'; '.join(parts)}."
