"""Accuracy on other images than those of training: adversarial, shifted, by arm."""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from model.figures.style import labelled, opened, titled, with_legend
from orchestrator.results.report.answer import spread_of
from orchestrator.results.report.drawing import CARD_IN, Picture
from orchestrator.results.report.numbers import plain
from orchestrator.results.report.study import Arm, Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Spread = tuple[float, float, float]


def datasets_of(study: Study) -> list[str]:
    """The sets that some arm was evaluated on, in order of appearance."""
    return list(dict.fromkeys(one.dataset for one in study.evaluations))


def evaluated(study: Study, arm: Arm, dataset: str, metric: str) -> list[float]:
    """The values of an arm's evaluations of the runs that are compared, one for each seed."""
    name = f"eval/{dataset}/{metric}"
    found = study.evaluations_of(arm, dataset)
    return [one.metrics[name] for one in found if name in one.metrics]


def shift_figures(study: Study) -> Iterator[Picture]:
    """Of each set the accuracy of every arm there, and on training's own images of its classes."""
    for dataset in datasets_of(study):
        alike = [arm for arm in study.arms if arm not in study.unlike]
        shown = [arm for arm in alike if evaluated(study, arm, dataset, "top1_masked")]
        if not shown:
            continue
        there = {a.name: spread_of(evaluated(study, a, dataset, "top1_masked")) for a in shown}
        clean = {
            arm.name: spread_of(values)
            for arm in shown
            if (values := evaluated(study, arm, dataset, "clean_masked"))
        }
        told = [
            f"{name} {plain(middle, 1)} %"
            + (f" of {plain(clean[name][0], 1)} % clean" if name in clean else "")
            for name, (middle, _, _) in there.items()
        ]
        yield Picture(
            name=f"shift_{re.sub(r'[^A-Za-z0-9_-]', '_', dataset)}",
            title=f"Accuracy on {dataset}",
            caption="Top-1 among the classes that both sets share, with 95 % intervals over seeds; "
            "open: the same model on the validation images of these classes. What lies between "
            "them is what the shift costs. Intervals that reach beyond 0 or 100 % are cut there.",
            alt=f"Top-1 accuracy on {dataset} by arm: {', '.join(told)}.",
            figure=_draw(shown, there, clean),
        )


def _draw(arms: Sequence[Arm], there: dict[str, Spread], clean: dict[str, Spread]) -> "Figure":
    figure, ((axes,),) = titled("", width_in=CARD_IN, height_in=0.8 + 0.24 * len(arms))
    opened(axes)
    axes.grid(axis="x", alpha=0.25, linewidth=0.5)
    for place, arm in enumerate(arms):
        for spreads, filled in ((clean, False), (there, True)):
            if arm.name not in spreads:
                continue
            middle, low, high = spreads[arm.name]
            axes.errorbar(
                middle,
                -place,
                xerr=[[middle - low], [high - middle]],
                color=arm.mark.colour,
                marker=arm.mark.marker,
                mfc=arm.mark.colour if filled else "none",
                ms=5,
                elinewidth=0.9,
                capsize=2,
                linestyle="none",
            )
    axes.set_yticks([-place for place in range(len(arms))], [arm.name for arm in arms])
    axes.set_ylim(-len(arms) + 0.4, 0.6)
    low, high = axes.get_xlim()
    axes.set_xlim(max(low, -2), min(high, 102))  # so that a marker at an end is whole
    axes.plot([], [], "ko", ms=5, label="this set")
    axes.plot([], [], "ko", mfc="none", ms=5, label="validation images")
    labelled(axes, x="top-1 (%)")
    with_legend(axes, loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=2)
    return figure
