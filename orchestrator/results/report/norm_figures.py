"""Norms of patch tokens over training, and the share of outliers among them, by arm."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from model.figures.norms import norm_span, norms_over_epochs
from model.figures.style import counted as counted_axis
from model.figures.style import labelled, opened, titled, with_legend
from orchestrator.results.report.drawing import CARD_IN, WIDE_IN, Picture
from orchestrator.results.report.numbers import counted, listed, share
from orchestrator.results.report.study import OUTLIERS, Arm, Study

if TYPE_CHECKING:
    from model.figures import Histogram

HEIGHT_IN = 3.0


def norm_figures(study: Study) -> Iterator[Picture]:
    """A figure of ridges for each arm that was probed twice or more, all on one axis."""
    shown = [(arm, study.inside[arm.key].norms) for arm in study.arms if arm.key in study.inside]
    shown = [(arm, norms) for arm, norms in shown if len(norms) > 1]
    if not shown:
        return
    span = norm_span([one for _, norms in shown for one in norms.values()])
    for arm, norms in shown:
        figure = norms_over_epochs(norms, colour=arm.mark.colour, span=span, emerged=_brackets(arm))
        figure.set_figwidth(CARD_IN)
        yield Picture(
            name=f"norms_{arm.mark.family}_{study.arms.index(arm)}",
            title=arm.name,
            caption=emergence_words(arm),
            alt=_told(arm, norms),
            figure=figure,
        )


def emergence_words(arm: Arm) -> str:
    """When artifacts emerged in the runs of an arm, or in how many they did not."""
    answers = [run.emergence for run in arm.runs if run.emergence is not None]
    told = [(run.seed, run.judged) for run in arm.runs if run.judged]
    if not answers:
        return "Not probed."
    if not told:
        return f"It cannot be told whether artifacts emerged: {answers[0].text}."
    there = [f"seed {seed}: {found}" for seed, found in told if found.by is not None]
    none = sum(found.by is None for _, found in told)
    absent = f"no emergence in {none} of {counted(len(told), 'seed')}" if none else ""
    return f"{'; '.join([*there, absent] if absent else there)}.".capitalize()


def _brackets(arm: Arm) -> dict[str, tuple[int, int]]:
    """By seed, the epochs between which artifacts emerged; from 0 where they were there at once."""
    found = [(run.seed, run.judged) for run in arm.runs]
    return {
        f"{seed}": (one.after or 0, one.by) for seed, one in found if one and one.by is not None
    }


def _told(arm: Arm, norms: "Mapping[int, Histogram]") -> str:
    first, last = min(norms), max(norms)
    medians = [f"{norms[epoch].median():.3g} at epoch {epoch}" for epoch in (first, last)]
    return (
        f"Distributions of patch-token norms of {arm.name} over {len(norms)} probes: median "
        f"{' and '.join(medians)}. {emergence_words(arm)}"
    )


def outlier_figure(study: Study) -> Picture | None:
    """The share of outliers over epochs, a band over the seeds of each arm; None: all are 0."""
    curves = {arm.key: _band(arm) for arm in study.arms}
    if not any(high > 0 for band in curves.values() for _, _, high in band.values()):
        return None
    figure, ((axes,),) = titled("", width_in=WIDE_IN, height_in=HEIGHT_IN)
    opened(axes)
    for arm in study.arms:
        band = curves[arm.key]
        if not band:
            continue
        epochs = sorted(band)
        low, middle, high = ([100 * band[epoch][place] for epoch in epochs] for place in range(3))
        axes.fill_between(epochs, low, high, color=arm.mark.colour, alpha=0.15, linewidth=0)
        axes.plot(
            *(epochs, middle),
            color=arm.mark.colour,
            marker=arm.mark.marker,
            linestyle=arm.mark.line,
            ms=3.5,
            linewidth=1.1,
            label=arm.name,
        )
    axes.set_ylim(bottom=0)
    labelled(axes, y="outlier tokens (%)")
    counted_axis(axes.xaxis, "epoch")
    with_legend(axes, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    last = [
        f"{arm.name} {share(100 * curves[arm.key][max(curves[arm.key])][1])}"
        for arm in study.arms
        if curves[arm.key]
    ]
    return Picture(
        name="outliers_over_epochs",
        title="Outlier tokens over training",
        caption="The share of patch tokens of the last block whose norm exceeds both median + 10 x "
        "1.4826 x MAD and 1.5 x median. Lines are means over seeds, bands reach from the lowest "
        "seed to the highest.",
        alt=f"Share of outlier tokens at the last probe: {', '.join(last)}.",
        figure=figure,
    )


def no_outliers(study: Study) -> str:
    """The sentence in place of the figure where no arm has an outlier; "" where none was probed."""
    probed = [arm.name for arm in study.arms if _band(arm)]
    if not probed:
        return ""
    which = "any arm" if len(probed) == len(study.arms) else listed(probed)
    return f"At no probe of {which} was a patch token of the last block an outlier."


def _band(arm: Arm) -> dict[int, tuple[float, float, float]]:
    """By epoch the lowest, mean and highest share over the seeds that were probed there."""
    told: dict[int, list[float]] = {}
    for run in arm.runs:
        for epoch, value in run.curves.get(OUTLIERS, {}).items():
            if value == value:  # noqa: PLR0124 - not nan
                told.setdefault(epoch, []).append(value)
    return {epoch: _spread(values) for epoch, values in sorted(told.items())}


def _spread(values: Sequence[float]) -> tuple[float, float, float]:
    return min(values), sum(values) / len(values), max(values)
