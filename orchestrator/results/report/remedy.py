"""Gates beside the usual remedy, which is four registers."""

from collections.abc import Iterator, Mapping, Sequence

from orchestrator.results.contrasts import MARGIN, Contrast, Verdict, contrasts
from orchestrator.results.digits import of_p
from orchestrator.results.report.answer import PHRASES, in_words, lost_in
from orchestrator.results.report.marks import BOTH, GATE, REGISTERS
from orchestrator.results.report.markup import Html, table, tag
from orchestrator.results.report.numbers import NOTHING, percent, plain
from orchestrator.results.report.study import ACCURACY, Arm, Study
from orchestrator.results.report.tables import WORDS, difference, named, over_images, verdict
from orchestrator.results.spread import mean

USUAL_REGISTERS = 4
"""As many as Darcet et al. (2024, arXiv:2309.16588, figure 8) use throughout."""


def usual_remedy(study: Study) -> Arm | None:
    """The arm with registers alone that gates are compared with."""
    found = (
        arm
        for arm in (study.like(study.plain) if study.plain else study.arms)
        if arm.mark.family == REGISTERS.name and arm.registers == USUAL_REGISTERS
    )
    return next(found, None)


def gated(study: Study, usual: Arm) -> list[Arm]:
    """The arms with a gate, with registers or without, that compare with the usual remedy."""
    return [arm for arm in study.like(usual) if arm.mark.family in (GATE.name, BOTH.name)]


def remedy_table(study: Study) -> Iterator[Html]:
    """A sentence and a table of top-1 after the last epoch; nothing where one side is missing."""
    usual = usual_remedy(study)
    if usual is None or not usual.values(ACCURACY):
        return
    arms = [arm for arm in gated(study, usual) if arm.values(ACCURACY)]
    if not arms:
        return
    shown = [usual, *arms]
    found = contrasts(
        [arm.values(ACCURACY) for arm in shown],
        0,
        margin=MARGIN,
        better=1,
        judged=[study.judged.get((arm.key, ACCURACY)) for arm in shown],
    )
    told = [(arm.name, one) for arm, one in zip(shown, found, strict=True) if one]
    yield tag("h3", f"Gates beside {usual.name}")
    yield tag(
        "p",
        f"{usual.name} reaches {percent(mean(usual.values(ACCURACY)))} top-1; beside it, "
        f"{in_words(told, PHRASES)}.{lost_in(shown)}",
    )
    columns: dict[str, Sequence[str]] = {
        "arm": [named(arm) for arm in shown],
        "top-1 (%)": [plain(mean(arm.values(ACCURACY))) for arm in shown],
        "n": [f"{len(arm.values(ACCURACY))}" for arm in shown],
    }
    caption = (
        f"Top-1 after the last epoch against {usual.name}, means over n seeds. A family of tests "
        "of its own: p is adjusted for the rows of this table. Intervals and verdicts are as in "
        "the table above."
    )
    yield contrast_table(caption, columns, f"difference to {usual.name} (points)", found, WORDS)


def contrast_table(  # noqa: PLR0913 - what a table says
    caption: str,
    columns: Mapping[str, Sequence[str]],
    against: str,
    found: Sequence[Contrast | None],
    words: Mapping[Verdict, str],
    *,
    digits: int = 1,
) -> Html:
    """A row for each arm, the one that others are compared with first.

    Args:
        caption: what the table shows.
        columns: names of arms, and what is told of each alone.
        against: the heading of the column of differences.
        found: what is told of each beside the first; columns of which nothing is known are left
            out.
        words: how verdicts are told.
        digits: of differences and their intervals, after the point.
    """
    every: dict[str, Sequence[str]] = {
        **columns,
        against: [difference(one, digits) for one in found],
        "over seeds and images": [over_images(one) for one in found],
        "p (Holm)": [_p(one.p_holm if one else None) for one in found],
        "p of equivalence": [_p(one.p_equivalence if one else None) for one in found],
        "verdict": [verdict(one, words) for one in found],
    }
    kept = {name: cells for name, cells in every.items() if any(c != NOTHING for c in cells)}
    return table(
        caption,
        [*kept],
        [*zip(*kept.values(), strict=True)],
        numbers=[name for name in kept if name not in ("arm", "verdict")],
        marked=0,
        class_="answers",
    )


def _p(value: float | None) -> str:
    return NOTHING if value is None else of_p(value)
