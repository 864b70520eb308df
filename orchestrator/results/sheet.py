"""The answer as a table of plain values, and as the texts that a person reads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.results.answer import Answer
from orchestrator.results.contrasts import Contrast
from orchestrator.results.digits import decimals, of_p, told, with_spread, within
from orchestrator.results.groups import Group, cell, label
from orchestrator.results.moments import Kind
from orchestrator.results.notes import notes_of, of_group

NO_BOUNDS = (None, None)
OF_CONTRASTS = (
    *("difference", "difference low", "difference high", "p", "p_holm", "p_equivalence"),
    *("images", "bootstrap low", "bootstrap high", "verdict"),
)
BASELINE = "baseline"
"""What stands in place of a verdict on the row that the others are compared with."""
NARROW = {"missing": "miss", "diverged": "div", "stopped": "stop", "notes": ""}
"""Columns that have a shorter name on a terminal."""
COUNTS = ("n", "missing", "diverged", "stopped")
UNTOLD_AT_ZERO = COUNTS[1:]
SPREAD = "± is the standard deviation over seeds."
MORE = "Intervals over seeds and images: --csv, --markdown, --latex, --json."


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A table as it is written: texts, and what is said below it.

    Attributes:
        columns: their names.
        numbers: those of them that hold numbers, and are set to the right.
        rows: a text for each column.
        notes: a sentence each; those of single rows begin with the number that stands there.
    """

    columns: Sequence[str]
    numbers: frozenset[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str]


def plain(found: Answer) -> list[dict[str, Any]]:
    """A row of plain values for each group, whose keys are the columns; nothing is rounded."""
    compared: Sequence[Contrast | None] = found.contrasts or [None] * len(found.groups)
    return [_plain(found, *row) for row in zip(found.groups, compared, strict=True)]


def metric_named(found: Answer) -> str:
    """The metric, and at which moment, if that is not the end."""
    metric, kind = found.question.metric, found.moment.kind
    return metric if kind is Kind.LAST else f"{metric} ({kind})"


def _plain(found: Answer, group: Group, contrast: Contrast | None) -> dict[str, Any]:
    low, high = group.ci95 or NO_BOUNDS
    row = {axis: cell(value) for axis, value in group.axes.items()}
    row |= {name: getattr(group, name) for name in COUNTS}
    row |= {f"{metric_named(found)} mean": group.mean, "std": group.std, "low": low, "high": high}
    row |= group.also
    if found.contrasts:
        row |= _contrasted(contrast)
    return {**row, "notes": "; ".join(of_group(group))}


def _contrasted(one: Contrast | None) -> dict[str, Any]:
    if one is None:
        return {**dict.fromkeys(OF_CONTRASTS), "verdict": BASELINE}
    bounds = (*(one.ci95 or NO_BOUNDS), one.p, one.p_holm, one.p_equivalence)
    images = (one.images or None, *(one.bootstrap95 or NO_BOUNDS))
    told = (one.difference, *bounds, *images, one.verdict.value)
    return dict(zip(OF_CONTRASTS, told, strict=True))


def shown(found: Answer, *, wide: bool) -> Sheet:
    """The table as texts; ``wide``: with those intervals for which a terminal has no room.

    Without differences it has room for the interval of each mean.
    """
    rows, notes = [], list[str]()
    compared: Sequence[Contrast | None] = found.contrasts or [None] * len(found.groups)
    for group, contrast in zip(found.groups, compared, strict=True):
        marks = [_mark(notes, text) for text in of_group(group)]
        rows.append(_texts(found, group, contrast, wide=wide) | {"notes": ",".join(marks)})
    columns = list(dict.fromkeys(name for row in rows for name in row))
    empty = {name for name in UNTOLD_AT_ZERO if all(row[name] == "0" for row in rows)}
    empty |= {name for name in columns if not any(row[name] for row in rows)}
    kept = [name for name in columns if name not in empty]
    axes = [*map(_axis_named(found), found.axes)]
    names = {name: name if wide else NARROW.get(name, name) for name in kept}
    left_out = any(one and one.bootstrap95 for one in compared) and not wide
    return Sheet(
        columns=[names[name] for name in kept],
        numbers=frozenset(names[name] for name in {*kept} - {*axes, "verdict", "notes"}),
        rows=[[row[name] for name in kept] for row in rows],
        notes=[
            *(f"{n}: {text}" for n, text in enumerate(notes, 1)),
            *([SPREAD] if any(group.std is not None for group in found.groups) else []),
            *notes_of(found),
            *([MORE] if left_out else []),
        ],
    )


def _axis_named(found: Answer) -> Callable[[str], str]:
    chosen = found.question.choose
    return lambda axis: f"{axis} (chosen)" if axis == chosen else axis


def _mark(notes: list[str], text: str) -> str:
    """The number of a note, which is the same for rows of which the same is said."""
    if text not in notes:
        notes.append(text)
    return str(notes.index(text) + 1)


def _texts(found: Answer, group: Group, contrast: Contrast | None, *, wide: bool) -> dict[str, str]:
    named = _axis_named(found)
    row = {named(axis): label(value) for axis, value in group.axes.items()}
    row |= {name: str(getattr(group, name)) for name in COUNTS}
    row[metric_named(found)] = with_spread(group.mean, group.std)
    if wide or not found.contrasts:
        row["95 %"] = within(*group.ci95) if group.ci95 else ""
    row |= {name: told(value, None) for name, value in group.also.items()}
    return row | (_texts_of(contrast, wide=wide) if found.contrasts else {})


def _texts_of(one: Contrast | None, *, wide: bool) -> dict[str, str]:
    if one is None:
        rest = {"over images, too": ""} if wide else {}
        return {"difference": "", "p": "", **rest, "verdict": BASELINE}
    places = decimals((one.ci95[1] - one.ci95[0]) / 2) if one.ci95 else None
    bounds = f" {within(*one.ci95)}" if one.ci95 else ""
    images = {"over images, too": within(*one.bootstrap95) if one.bootstrap95 else ""}
    return {
        "difference": f"{told(one.difference, places, '+')}{bounds}",
        "p": of_p(one.p_holm),
        **(images if wide else {}),
        "verdict": one.verdict.value,
    }
