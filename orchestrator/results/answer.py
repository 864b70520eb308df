"""A question about the jobs of a study, and the answer: groups, and what is known of each."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

from orchestrator.documents.results import ResultsDocument
from orchestrator.results.choice import Choice
from orchestrator.results.contrasts import Contrast, Detectable
from orchestrator.results.groups import Group, label
from orchestrator.results.moments import Kind, Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of the jobs that are meant; each field is an option of the verb."""

    metric: str = "val/top1"
    also: Sequence[str] = ()
    by: Sequence[str] = ()
    """Empty: all axes but the seed."""
    at: str = "last"
    baseline: str | None = None
    margin: float | None = None
    """None: `MARGIN` of a percentage; of other metrics none."""
    choose: str | None = None
    on_seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is known.

    Attributes:
        question: as it was asked.
        axes: by which jobs are grouped.
        groups: a row each.
        moment: when metrics are told; its amount is known.
        spent_least: the group that an unsaid amount is of.
        chosen: of each group the value that was chosen, if one was asked for.
        baseline: the row that all others are compared with.
        contrasts: one of each row, None of the baseline; empty where there is none.
        detectable: what such groups would tell of each other, or of the baseline; None: not known.
        faults: a sentence for each job that is not whole.
        ranks: with how many processes jobs were trained.
        apart: what rows have not in common, though each of them may agree in itself.
        margin: within which groups are equivalent to the baseline; None: that is not tested.
    """

    question: Question
    axes: Sequence[str]
    groups: Sequence[Group]
    moment: Moment
    spent_least: str = ""
    chosen: Sequence[Choice] = ()
    baseline: int | None = None
    contrasts: Sequence[Contrast | None] = ()
    detectable: Detectable | None = None
    faults: Sequence[str] = ()
    ranks: Sequence[int] = ()
    apart: Sequence[str] = ()
    margin: float | None = None


def name_of(axes: Mapping[str, Any]) -> str:
    """A row in words."""
    return ", ".join(f"{axis}={label(value)}" for axis, value in axes.items()) or "all jobs"


def as_json(found: Answer, notes: Sequence[str]) -> ResultsDocument:
    """The documented form of ``results --json``; further metrics stand in a row by their names.

    ``notes``: what is to be said of all of it.
    """
    contrasted = found.contrasts or [None] * len(found.groups)
    told: dict[str, Any] = {
        "schema": 1,
        "metric": found.question.metric,
        "by": list(found.axes),
        "at": str(found.moment),
        "selected_on_reported": found.moment.kind is Kind.BEST,
        "chosen": _choices(found),
        "baseline": None if found.baseline is None else found.groups[found.baseline].axes,
        "detectable": asdict(found.detectable) if found.detectable else None,
        "rows": [
            _row(group, asdict(one) if one else None, compared=bool(found.contrasts))
            for group, one in zip(found.groups, contrasted, strict=True)
        ],
        "notes": list(notes),
    }
    return cast("ResultsDocument", told)


def _choices(found: Answer) -> dict[str, Any] | None:
    if not found.question.choose:
        return None
    rows = [asdict(one) for one in found.chosen]
    return {"axis": found.question.choose, "on_seed": found.question.on_seed, "groups": rows}


def _row(group: Group, contrast: Mapping[str, Any] | None, *, compared: bool) -> dict[str, Any]:
    names = [name for name in Group.__slots__ if name not in ("axes", "also")]
    told = {**group.axes, **{name: getattr(group, name) for name in names}, **group.also}
    return {**told, "contrast": contrast} if compared else told
