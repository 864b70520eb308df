"""The part of the page on controls: models whose answer is known, and what the rule says."""

from collections.abc import Sequence

from orchestrator.results.report.markup import Html, table, tag
from orchestrator.results.report.numbers import NOTHING, counted, listed, plain, share
from orchestrator.results.report.study import Control, Study

POSITIVE, BLOCKS, FIRST = "artifacts/positive", "artifacts/positive_blocks", "artifacts/first_block"
KNOWN = {"artifacts": "artifacts", "none": "none", "contested": "contested", "": "not said"}
"""By what a sweep expects of a model, in words."""
DECIDED = {"artifacts": 1.0, "none": 0.0}
"""What `POSITIVE` has to be where the answer is known."""
CAPTION = (
    "Models that were trained elsewhere, whose answer is known, by one probe: a block is positive "
    "if the lower 95 % bound of its share of outliers is above 0.1 % and they receive at least 5 "
    "times the attention of the median patch in a later block. Outliers: share of patch tokens in "
    "the block that has most."
)


def agrees(one: Control) -> bool | None:
    """Whether the rule says what is known; None: nothing is known, or it says nothing."""
    found = one.metrics.get(POSITIVE)
    if one.expect not in DECIDED or found is None:
        return None
    return found == DECIDED[one.expect]


def found(one: Control) -> str:
    """What the rule says of a model, in words."""
    if not one.metrics:
        return f"not measured ({one.state})"
    if POSITIVE not in one.metrics:
        return "not to be told"
    if not one.metrics[POSITIVE]:
        return "none"
    blocks = counted(int(one.metrics[BLOCKS]), "block")
    return f"artifacts in {blocks}, from block {one.metrics[FIRST]:.0f} on"


def controls(study: Study) -> list[Html]:
    """A sentence on all of them, and a table; nothing without one."""
    if not study.controls:
        return []
    rows = [
        (
            one.name,
            tag("code", one.model),
            KNOWN[one.expect],
            found(one),
            {True: "as expected", False: "not as expected", None: NOTHING}[agrees(one)],
            _outliers(one),
            plain(one.metrics.get("norms/max_over_median"), 1),
        )
        for one in study.controls
    ]
    columns = ["control", "model", "known", "found", "verdict", "outliers", "norms: max / median"]
    return [
        tag("p", in_short(study.controls)),
        table(CAPTION, columns, rows, numbers=columns[5:]),
    ]


def in_short(some: Sequence[Control]) -> str:
    """Whether the rule can be trusted, as far as these tell."""
    told = {one.name: agrees(one) for one in some}
    right = [name for name, one in told.items() if one]
    wrong = [name for name, one in told.items() if one is False]
    asked = [one.name for one in some if one.expect in DECIDED]
    if not asked:
        return "Of none of these models the answer is known."
    said = (
        f"Of {counted(len(asked), 'model')} with a known answer the rule agrees with {len(right)}."
    )
    if wrong:
        said += (
            f" It is wrong about {listed(wrong)}: what it says of the arms is not to be trusted."
        )
    missing = [name for name in asked if told[name] is None]
    return said + (f" Nothing can be said yet of {listed(missing)}." if missing else "")


def _outliers(one: Control) -> str:
    worst = one.metrics.get("norms/worst_outlier_share")
    return NOTHING if worst is None else share(100 * worst)
