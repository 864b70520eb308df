"""What a shift costs each arm beside what it costs another: differences of gaps, by set."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.results.contrasts import MARGIN, Contrast, Verdict, contrasts
from orchestrator.results.report.answer import in_words
from orchestrator.results.report.markup import Html, tag
from orchestrator.results.report.numbers import plain
from orchestrator.results.report.remedy import contrast_table, gated, usual_remedy
from orchestrator.results.report.shift_figures import datasets_of, evaluated
from orchestrator.results.report.study import Arm, Study
from orchestrator.results.report.tables import EQUIVALENT, named
from orchestrator.results.spread import mean

WORDS = {
    **{one: str(one) for one in Verdict},
    Verdict.HIGHER: "wider",
    Verdict.LOWER: "narrower",
}
PHRASES = {
    Verdict.HIGHER: "wider:",
    Verdict.LOWER: "narrower:",
    Verdict.EQUIVALENT: f"equivalent within {MARGIN:g} points:",
    Verdict.UNDECIDED: "not decided by so few seeds:",
    Verdict.ONE_SEED: "with too few seeds to tell:",
}
"""As `answer.PHRASES`, of gaps."""
SAID = (
    "A gap is the top-1 on training's own validation images (clean) less that on this set "
    "(shifted), both among the classes that the two share. Differences of gaps have a 95 % "
    "interval over seeds by Welch's t, and p adjusted for the rows of their table (Holm); "
    f"equivalent: {EQUIVALENT}. Where predictions are "
    "kept, a second 95 % interval is by a bootstrap of seeds and of images, those of each set "
    "drawn apart; of few seeds it is too narrow, and no verdict is by it."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """On one set, gaps of arms against that of one of them, which stands first and has no contrast.

    ``clean``, ``masked``, ``gap``: of each arm the mean over seeds of what `docs/metrics.md` tells.
    """

    dataset: str
    arms: Sequence[Arm]
    n: Sequence[int]
    clean: Sequence[float | None]
    masked: Sequence[float | None]
    gap: Sequence[float | None]
    contrasts: Sequence[Contrast | None]


def gap_on(dataset: str) -> str:
    """The metric of the gap between clean and shifted accuracy of the same classes."""
    return f"eval/{dataset}/gap"


def gaps_of(study: Study, dataset: str) -> Iterator[Gaps]:
    """All arms against the plain one; those with a gate against the one with four registers."""
    if study.plain is not None:
        yield from _against(study, dataset, study.plain, study.like(study.plain))
    if (usual := usual_remedy(study)) is not None:
        yield from _against(study, dataset, usual, gated(study, usual))


def _against(study: Study, dataset: str, first: Arm, arms: Sequence[Arm]) -> Iterator[Gaps]:
    """What of these arms was measured; nothing without the first, or with it alone."""
    metric = gap_on(dataset)
    values = {arm.key: evaluated(study, arm, dataset, "gap") for arm in (first, *arms)}
    shown = [first, *(arm for arm in arms if arm is not first and values[arm.key])]
    if not values[first.key] or len(shown) < 2:
        return
    yield Gaps(
        dataset=dataset,
        arms=shown,
        n=[len(values[arm.key]) for arm in shown],
        clean=[mean(evaluated(study, arm, dataset, "clean_masked")) for arm in shown],
        masked=[mean(evaluated(study, arm, dataset, "top1_masked")) for arm in shown],
        gap=[mean(values[arm.key]) for arm in shown],
        contrasts=contrasts(
            [values[arm.key] for arm in shown],
            0,
            margin=MARGIN,
            better=-1,
            judged=[study.judged.get((arm.key, metric)) for arm in shown],
        ),
    )


def gaps(study: Study) -> list[Gaps]:
    """Those on every set."""
    return [one for dataset in datasets_of(study) for one in gaps_of(study, dataset)]


def gap_tables(found: Sequence[Gaps]) -> Iterator[Html]:
    """Of each set and each arm that others are compared with, a sentence and a table."""
    if found:
        yield tag("h3", "Differences of gaps")
        yield tag("p", SAID)
    for one in found:
        yield tag("p", in_short(one))
        yield _table(one)


def in_short(one: Gaps) -> str:
    """What is known on a set, in a sentence."""
    told = [(arm.name, c) for arm, c in zip(one.arms, one.contrasts, strict=True) if c]
    return (
        f"On {one.dataset}, the gap of {one.arms[0].name} is {plain(one.gap[0], 1)} points; beside "
        f"it, {in_words(told, PHRASES)}."
    )


def _table(one: Gaps) -> Html:
    columns: dict[str, Sequence[str]] = {
        "arm": [named(arm) for arm in one.arms],
        "clean (%)": [plain(value, 1) for value in one.clean],
        "shifted (%)": [plain(value, 1) for value in one.masked],
        "gap (points)": [plain(value, 1) for value in one.gap],
        "n": [f"{n}" for n in one.n],
    }
    against = f"difference of gaps to {one.arms[0].name}"
    return contrast_table(_caption(one), columns, against, one.contrasts, WORDS)


def _caption(one: Gaps) -> str:
    told = f"Gaps on {one.dataset} against {one.arms[0].name}, means over n seeds."
    images = sorted({c.images for c in one.contrasts if c and c.bootstrap95})
    if not images:
        return (
            f"{told} No interval over images: of no two arms are predictions kept from which every "
            "seed's gap follows."
        )
    number = f"{images[0]:,}" if len(images) == 1 else f"{images[0]:,} to {images[-1]:,}"
    return f"{told} Over seeds and images: {number} images of both sets together."
