"""Which of many like cases are run every time, and which in a soak alone."""

from collections.abc import Iterable
from typing import Any

import pytest


def some(cases: Iterable[Any], *, often: Iterable[Any]) -> list[Any]:
    """The cases for ``parametrize``; those that are not among ``often`` wait for a soak."""
    cases, often = list(cases), list(often)
    assert set(often) < set(cases), "a case that is run often is one of all"
    return [
        case if case in often else pytest.param(*_values(case), marks=pytest.mark.soak)
        for case in cases
    ]


def _values(case: Any) -> tuple[Any, ...]:
    return case if isinstance(case, tuple) else (case,)
