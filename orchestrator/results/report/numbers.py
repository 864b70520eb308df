"""Numbers as the page writes them."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime

MINUS = "\N{MINUS SIGN}"
NOTHING = "\N{EN DASH}"
"""In a table, for what was not measured."""


def plain(value: float | None, digits: int = 2) -> str:
    """So many digits after the point, with a true minus sign."""
    if value is None:
        return NOTHING
    if not math.isfinite(value):
        return "not finite"
    return f"{value:z.{digits}f}".replace("-", MINUS)  # z: no minus before zero


def with_spread(value: float | None, spread: float | None) -> str:
    """A mean and the standard deviation beside it, if there is one."""
    told = plain(value)
    return told if spread is None else f"{told} \N{PLUS-MINUS SIGN} {plain(spread)}"


def points(value: float | None) -> str:
    """Percent points, to a tenth of one."""
    return plain(value, 1)


def signed(value: float | None, digits: int = 1) -> str:
    """With its sign, also a plus."""
    text = plain(value, digits)
    above = value is not None and math.isfinite(value) and round(value, digits) > 0
    return f"+{text}" if above else text


def percent(value: float | None, digits: int = 1) -> str:
    """A percentage, with its sign."""
    text = plain(value, digits)
    return text if value is None or not math.isfinite(value) else f"{text} %"


def share(value: float | None) -> str:
    """A percentage that is mostly very small: three digits that count."""
    if value is None or not math.isfinite(value):
        return plain(value)
    return f"{value:.3g} %"


def more(ratio: float | None) -> str:
    """A ratio as what it is more than 1: +7.6 %, +211 %."""
    if ratio is None:
        return NOTHING
    beyond = 100 * (ratio - 1)
    return f"{signed(beyond, 1 if abs(beyond) < 100 else 0)} %"


def rate(value: float) -> str:
    """A learning rate, as people write it: 0.003."""
    return f"{value:g}"


def day(at: float) -> str:
    """The day of a UTC epoch second."""
    return f"{datetime.fromtimestamp(at, UTC):%d %B %Y}".lstrip("0")


def counted(number: int, word: str) -> str:
    """1 job, 2 jobs."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def listed(words: Sequence[str]) -> str:
    """a; a and b; a, b and c."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def are(number: int, one: str = "is", more: str = "are") -> str:
    """1 is, 2 are."""
    return one if number == 1 else more
