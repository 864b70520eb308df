"""At which moment of training a metric is told: its end, its best, or after equal spending."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from orchestrator.errors import SpecError
from orchestrator.jobs.directions import BY_END, direction
from orchestrator.jobs.facts import Ending
from orchestrator.results.course import Mark

if TYPE_CHECKING:
    from orchestrator.results.result import Result

FORMS = "last, best, epoch=N, macs, macs=X, hours, hours=X"
SLACK = 1e-9
"""Of an amount that is told in floating point: one that is reached exactly is reached."""


class Kind(StrEnum):
    """What decides the moment."""

    LAST = "last"
    BEST = "best"
    EPOCH = "epoch"
    MACS = "macs"
    HOURS = "hours"


SPENDING = (Kind.MACS, Kind.HOURS)
UNITS: Mapping[Kind, str] = {Kind.MACS: "training MACs", Kind.HOURS: "hours of training"}


@dataclass(frozen=True, slots=True)
class Moment:
    """When a metric is told. ``amount``: epochs, MACs or hours; None: none was said."""

    kind: Kind = Kind.LAST
    amount: float | None = None

    def __str__(self) -> str:
        """As it is typed."""
        return self.kind.value + ("" if self.amount is None else f"={self.amount:.15g}")

    @property
    def words(self) -> str:
        """What a table says of it; nothing of the last value."""
        if self.kind is Kind.EPOCH:
            return f"the value after {self.amount:g} epochs"
        if self.kind is Kind.BEST:
            return "the best value of each job: selected on the very set that is reported"
        if self.kind is Kind.LAST:
            return ""
        return f"the last value within {self.amount:.4g} {UNITS[self.kind]}"


def moment_of(text: str) -> Moment:
    """The moment that ``--at`` names.

    Raises:
        SpecError: it names none.
    """
    name, sign, number = text.partition("=")
    try:
        kind, amount = Kind(name), float(number) if sign else None
    except ValueError:
        raise SpecError(f"--at: '{text}' is no moment; there are {FORMS}") from None
    if (kind is Kind.EPOCH) != bool(sign) and kind not in SPENDING:
        raise SpecError(f"--at: '{text}' {'has a' if sign else 'lacks its'} number; write {FORMS}")
    if amount is not None and not 0 < amount < math.inf:
        raise SpecError(f"--at: '{text}' is not above 0; write {FORMS}")
    if kind is Kind.EPOCH and amount is not None and amount != int(amount):
        raise SpecError(f"--at: '{text}' is no whole number of epochs")
    return Moment(kind, amount)


def check_best(metric: str) -> int:
    """Which direction of a metric is better.

    Raises:
        SpecError: neither is known to be.
    """
    better = direction(metric)
    if better is None:
        raise SpecError(
            f"Whether high or low values of '{metric}' are better is not known, so none is the "
            f"best. It is known of metrics that end in {', '.join(BY_END)}"
        )
    return better


def equal_spending(groups: Mapping[str, Sequence["Result"]], kind: Kind) -> tuple[Moment, str]:
    """The moment that every finished job has reached, and the group that spent least.

    Args:
        groups: the jobs of each, by what a table calls it.
        kind: what is spent.

    Raises:
        SpecError: no finished job tells what it spent.
    """
    totals = [
        (spent, name)
        for name, members in groups.items()
        for one in members
        if one.ending is Ending.FINISHED and (spent := total(one.course, kind)) is not None
    ]
    if not totals:
        raise SpecError(
            f"--at {kind}: no job is done of which the {UNITS[kind]} are known. Say an amount "
            f"({kind}=X), or wait for one."
        )
    least, name = min(totals)
    return Moment(kind, least), name


def total(course: Sequence[Mark], kind: Kind) -> float | None:
    """What a job has spent in all."""
    return _spent(course[-1], kind) if course else None


def placed(results: Iterable["Result"], moment: Moment, metric: str) -> list["Result"]:
    """The results with what they measured at a moment, in place of their last metrics.

    A job that is under way counts once it has passed the moment, and so does one that has lost the
    end of its journal, of an epoch: what it had spent then is not sure. One that diverged keeps its
    last metrics, which nobody averages.

    Args:
        results: with their courses, unless the moment is the end.
        moment: its amount is known.
        metric: decides which epoch of a job is its best.

    Raises:
        SpecError: the best is asked for of a metric of which no direction is better.
    """
    if moment.kind is Kind.LAST:
        return list(results)
    better = check_best(metric) if moment.kind is Kind.BEST else 1
    return [_placed(one, moment, metric, better) for one in results]


def _placed(one: "Result", moment: Moment, metric: str, better: int) -> "Result":
    if one.ending is Ending.DIVERGED:
        return one
    if moment.kind is Kind.BEST:
        return replace(one, metrics=_at_best(one.course, metric, better))
    found = _at(one.course, moment)
    sure = moment.kind is Kind.EPOCH or not one.fault
    return replace(one, metrics=found, passed=bool(found) and sure)


def _at(course: Sequence[Mark], moment: Moment) -> dict[str, float]:
    assert moment.amount is not None
    if moment.kind is Kind.EPOCH:
        return _first(mark for mark in course if mark.epoch == moment.amount)
    spent = total(course, moment.kind)
    if spent is None or spent < moment.amount * (1 - SLACK):
        return {}
    most = moment.amount * (1 + SLACK)
    return _newest(m for m in course if (at := _spent(m, moment.kind)) is not None and at <= most)


def _at_best(course: Sequence[Mark], metric: str, better: int) -> dict[str, float]:
    """The metrics of the first mark with the best value that is a number."""
    values = {m.step: m.metrics[metric] for m in course if metric in m.metrics}
    finite = {step: value for step, value in values.items() if math.isfinite(value)}
    if not finite:
        return {}
    best = max(finite, key=lambda step: (better * finite[step], -step))
    return _newest(mark for mark in course if mark.step <= best)


def _first(marks: Iterable[Mark]) -> dict[str, float]:
    found: dict[str, float] = {}
    for mark in marks:
        found = {**mark.metrics, **found}
    return found


def _newest(marks: Iterable[Mark]) -> dict[str, float]:
    return {name: value for mark in marks for name, value in mark.metrics.items()}


def _spent(mark: Mark, kind: Kind) -> float | None:
    return mark.macs if kind is Kind.MACS else mark.hours
