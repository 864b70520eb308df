"""Accuracy against what it costs: multiply-adds, and measured time."""

from collections.abc import Callable, Iterator, Sequence
from statistics import fmean, median
from typing import TYPE_CHECKING

from model.figures.style import TICK, labelled, opened, titled, with_legend
from orchestrator.results.report.answer import relative_macs, spread_of
from orchestrator.results.report.drawing import CARD_IN, Picture
from orchestrator.results.report.marks import PLAIN, REGISTERS
from orchestrator.results.report.numbers import more, percent, plain
from orchestrator.results.report.study import ACCURACY, Arm, Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Cost = Callable[[Arm], float | None]
HEIGHT_IN = 3.1


def cost_figures(study: Study) -> Iterator[Picture]:
    """Accuracy against both costs, as far as both were measured."""
    arms = [arm for arm in study.arms if arm.values(ACCURACY) and arm not in study.unlike]
    macs: Cost = lambda arm: relative_macs(study, arm)  # noqa: E731 - beside the other one
    seconds: Cost = lambda arm: fmean(arm.seconds()) if arm.seconds() else None  # noqa: E731
    if study.plain is not None and _enough(arms, macs):
        name = study.plain.name
        yield Picture(
            name="accuracy_by_macs",
            title="Accuracy against multiply-adds",
            caption=f"Top-1 after the last epoch against the multiply-adds of a forward pass, over "
            f"those of {name}. The line joins the arms that differ in the number of registers "
            "alone, which stands beside each. Bars are 95 % intervals over seeds; "
            "one that ends at the edge reaches beyond it.",
            alt=_told(arms, macs, f"multiply-adds more than {name}", more),
            figure=_draw(arms, macs, f"multiply-adds over {name}'s"),
        )
    if _enough(arms, seconds):
        yield Picture(
            name="accuracy_by_time",
            title="Accuracy against training time",
            caption="Top-1 after the last epoch against the time that training took for an epoch, "
            "without evaluation and probes: the median over epochs, mean over seeds, by the jobs' "
            f"own clocks on {'one machine' if study.hosts < 2 else f'{study.hosts} machines'}. "
            "Times compare only where machines are alike and equally busy.",
            alt=_told(arms, seconds, "for an epoch", lambda value: f"{plain(value)} s"),
            figure=_draw(arms, seconds, "training time of an epoch (s)"),
        )


def _enough(arms: Sequence[Arm], cost: Cost) -> bool:
    return sum(cost(arm) is not None for arm in arms) > 1


def _draw(arms: Sequence[Arm], cost: Cost, what: str) -> "Figure":
    figure, ((axes,),) = titled("", width_in=CARD_IN, height_in=HEIGHT_IN)
    opened(axes)
    axes.grid(alpha=0.25, linewidth=0.5)
    places = [(arm, x, *spread_of(arm.values(ACCURACY))) for arm in arms if (x := cost(arm))]
    curve = [
        (arm.registers, x, middle)
        for arm, x, middle, *_ in places
        if arm.mark.family in (PLAIN.name, REGISTERS.name) and _only_registers(arm, arms)
    ]
    if len(curve) > 2:
        _, xs, ys = zip(*sorted(curve), strict=True)
        axes.plot(xs, ys, color=REGISTERS.colours[1][0], linewidth=1.2, zorder=1)
    for arm, x, middle, low, high in places:
        axes.errorbar(
            x,
            middle,
            yerr=[[middle - low], [high - middle]],
            color=arm.mark.colour,
            marker=arm.mark.marker,
            ms=5,
            linewidth=0,
            elinewidth=1,
            capsize=2,
            zorder=2,
        )
        axes.plot(
            [], [], color=arm.mark.colour, marker=arm.mark.marker, linewidth=0, label=arm.name
        )
        if arm.mark.family == REGISTERS.name:
            axes.annotate(
                f"{arm.registers}",
                (x, middle),
                xytext=(5, 4),
                textcoords="offset points",
                fontsize=TICK,
            )
    axes.set_ylim(*_heights([place[2:] for place in places], axes.get_ylim()))
    labelled(axes, x=what, y="top-1 (%)")
    with_legend(axes, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    return figure


def _heights(
    spreads: Sequence[tuple[float, float, float]], whole: tuple[float, float]
) -> tuple[float, float]:
    """So much of an axis that half of the intervals are whole: one of two seeds hides no others."""
    middles = [middle for middle, _, _ in spreads]
    usual = median(high - low for _, low, high in spreads)
    room = max(usual, max(middles) - min(middles)) or whole[1] - whole[0]
    return max(whole[0], min(middles) - room, -2), min(whole[1], max(middles) + room, 102)


def _only_registers(arm: Arm, arms: Sequence[Arm]) -> bool:
    """Whether the arm differs from others of the curve in its number of registers alone."""
    plain = next((one for one in arms if one.mark.family == PLAIN.name), None)
    if plain is None:
        return arm.mark.family == REGISTERS.name
    alike = {**arm.model, "registers": 0} == {**plain.model, "registers": 0}
    return alike and {run.stem for run in arm.runs} == {run.stem for run in plain.runs}


def _told(arms: Sequence[Arm], cost: Cost, unit: str, text: Callable[[float | None], str]) -> str:
    told = [
        f"{arm.name} {percent(spread_of(arm.values(ACCURACY))[0])} at {text(cost(arm))}"
        for arm in arms
        if cost(arm) is not None
    ]
    return f"Top-1 accuracy and cost, {unit}: {', '.join(told)}."
