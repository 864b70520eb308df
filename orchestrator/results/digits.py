"""Numbers with the digits that count: the spread decides, two of its digits are told."""

import math

MOST = 6
"""Decimals at most."""


def decimals(spread: float | None) -> int | None:
    """Decimals that show two digits of a spread; None: it decides nothing."""
    if not spread or not math.isfinite(spread):
        return None
    return min(MOST, max(0, 1 - math.floor(math.log10(abs(spread)))))


def told(value: float | None, places: int | None, sign: str = "") -> str:
    """A number with so many decimals; without a number of them, four digits that count."""
    if value is None:
        return "-"
    if not math.isfinite(value):
        return str(value)
    if places is not None:
        return f"{value:{sign}z.{places}f}"  # z: no minus before zero
    return f"{value:{sign},.0f}" if abs(value) >= 1e5 else f"{value:{sign}.4g}"


def with_spread(mean: float | None, std: float | None) -> str:
    """``81.23 ± 0.21``; without a spread the mean alone."""
    places = decimals(std)
    if std is None or places is None:
        return told(mean, None) + ("" if std is None else f" ± {std:.2g}")
    return f"{told(mean, places)} ± {told(std, places)}"


def within(low: float, high: float) -> str:
    """``[-0.12, 0.90]``."""
    places = decimals((high - low) / 2)
    return f"[{told(low, places)}, {told(high, places)}]"


def of_p(p: float | None) -> str:
    """A p with two digits, or that it is below a thousandth."""
    if p is None:
        return "-"
    return "<0.001" if p < 0.001 else f"{p:.2g}"
