"""Ranges: ``{range: [a, b, step]}`` and ``{logspace: [a, b, n]}`` written out as lists.

Both include both ends: a range has b where a step meets it. Numbers are those that one would write
by hand, computed exactly and the same on every machine: ``{range: [0.1, 0.3, 0.1]}`` is 0.1, 0.2,
0.3. They are whole where all three, or of a logspace both ends and all values, are whole.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from itertools import pairwise
from typing import TypeGuard

from orchestrator.errors import SpecError
from orchestrator.sweep.faults import Faults, spelled
from orchestrator.sweep.strict_yaml import MOST_VALUES, Document, KeyPath, Plain

MOST_LOGSPACE = 1000
DIGITS = 6
"""Significant digits of what stands between the ends of a logspace."""
EXACT = 60

Number = int | float


def with_ranges(document: Document, faults: Faults) -> Document:
    """The document with a list in place of each range; those that cannot be are told.

    Raises:
        SpecError: there are more numbers than a file may hold values.
    """
    return replace(document, plain=_Writer(document, faults).value(document.plain, ()))


def steps(start: Number, end: Number, step: Number) -> list[Number]:
    """From ``start`` by ``step`` as far as ``end``, which is the last one if a step meets it.

    Raises:
        ValueError: there is no such number, or there are too many.
    """
    first, last, by = (Fraction(repr(number)) for number in (start, end, step))
    if not by:
        raise ValueError("its step is 0")
    count = (last - first) // by + 1
    if count < 1:
        raise ValueError(f"it has no number: a step of {step} leads away from {end}")
    if count > MOST_VALUES:
        raise ValueError(f"it has {count} numbers; a file holds at most {MOST_VALUES} values")
    whole = all(isinstance(number, int) for number in (start, end, step))
    return [(int if whole else float)(first + k * by) for k in range(count)]


def powers(start: Number, end: Number, count: Number) -> list[Number]:
    """``count`` numbers from ``start`` to ``end``, each the same multiple of the one before.

    Between the ends they are rounded to ``DIGITS`` digits, if that leaves them apart.

    Raises:
        ValueError: an end is not above 0, or the count is not from 2 to ``MOST_LOGSPACE``.
    """
    if start <= 0 or end <= 0:
        raise ValueError("its ends must be above 0")
    if not isinstance(count, int) or not 2 <= count <= MOST_LOGSPACE:
        raise ValueError(f"its count is {count}; give it 2 to {MOST_LOGSPACE} numbers")
    first, last = Decimal(repr(start)), Decimal(repr(end))
    with localcontext(Context(prec=EXACT)):
        exact = [first * (last / first) ** (Decimal(k) / (count - 1)) for k in range(1, count - 1)]
    rounded = [first, *(Context(prec=DIGITS).plus(value) for value in exact), last]
    rises = last > first
    if not all(low < high if rises else low > high for low, high in pairwise(rounded)):
        rounded = [first, *exact, last]
    whole = isinstance(start, int) and isinstance(end, int) and all(v == int(v) for v in rounded)
    return [(int if whole else float)(value) for value in rounded]


KINDS: Mapping[str, tuple[str, Callable[[Number, Number, Number], list[Number]]]] = {
    "range": ("[start, end, step]", steps),
    "logspace": ("[start, end, count]", powers),
}


@dataclass(slots=True)
class _Writer:
    document: Document
    faults: Faults
    count: int = 0

    def value(self, plain: Plain, path: KeyPath) -> Plain:
        if isinstance(plain, list):
            return [self.value(item, (*path, number)) for number, item in enumerate(plain)]
        if not isinstance(plain, dict):
            return plain
        if len(plain) == 1:
            ((kind, parts),) = plain.items()
            if kind in KINDS and not isinstance(parts, dict):  # a case may be called so
                return self.written_out(kind, parts, path)
        return {key: self.value(value, (*path, key)) for key, value in plain.items()}

    def written_out(self, kind: str, parts: Plain, path: KeyPath) -> Plain:
        try:
            numbers = _numbers(kind, parts)
        except ValueError as error:
            place = self.document.place((*path, kind))
            self.faults.add(place, f"{spelled((*path, kind))}: {error}")
            return [1]  # a stand-in, so that only this is told
        self.count += len(numbers)
        if self.count > MOST_VALUES:
            place = self.document.place((*path, kind))
            raise SpecError(f"{place}: the ranges up to here hold more than {MOST_VALUES} values")
        return list(numbers)


def _numbers(kind: str, parts: Plain) -> list[Number]:
    form, write = KINDS[kind]
    if not _are_three_numbers(parts):
        raise ValueError(f"it must be {form}, three numbers")
    return write(*parts)


def _are_three_numbers(parts: Plain) -> TypeGuard[list[Number]]:
    return (
        isinstance(parts, list)
        and len(parts) == 3
        and all(type(part) in (int, float) and abs(part) < float("inf") for part in parts)  # type: ignore[arg-type]
    )
