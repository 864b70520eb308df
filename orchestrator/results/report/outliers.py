"""Whether an arm has fewer outlier tokens than the plain one: shares after the last epoch."""

from collections.abc import Iterator

from orchestrator.results.contrasts import Verdict, contrasts
from orchestrator.results.report.markup import Html, tag
from orchestrator.results.report.numbers import with_spread
from orchestrator.results.report.remedy import contrast_table
from orchestrator.results.report.study import OUTLIERS, Arm, Study
from orchestrator.results.report.tables import named
from orchestrator.results.spread import deviation, mean

WORDS = {
    **{one: str(one) for one in Verdict},
    Verdict.HIGHER: "more",
    Verdict.LOWER: "fewer",
}
DIGITS = 2
"""Of percentages of which a tenth decides."""


def outlier_table(study: Study) -> Iterator[Html]:
    """Shares of outliers beside the plain arm's; nothing where no arm has any."""
    base = study.plain
    if base is None:
        return
    shown = [arm for arm in study.like(base) if arm.values(OUTLIERS)]
    if base not in shown or len(shown) < 2 or not any(sum(_percent(arm)) for arm in shown):
        return
    yield tag("h3", "After the last epoch")
    yield contrast_table(
        f"Share of patch tokens of the last block that are outliers, mean \N{PLUS-MINUS SIGN} "
        f"standard deviation over n seeds, against {base.name}: Welch's 95 % interval over seeds, "
        "p adjusted for the rows of this table (Holm).",
        {
            "arm": [named(arm) for arm in shown],
            "outliers (%)": [
                with_spread(mean(_percent(arm)), deviation(_percent(arm))) for arm in shown
            ],
            "n": [f"{len(_percent(arm))}" for arm in shown],
        },
        f"difference to {base.name} (points)",
        contrasts([_percent(arm) for arm in shown], 0, margin=None, better=-1),
        WORDS,
        digits=DIGITS,
    )


def _percent(arm: Arm) -> list[float]:
    return [100 * value for value in arm.values(OUTLIERS)]
