"""What is wrong with a sweep, in lines a user can act on."""

import json
import re
from typing import Any

from pydantic_core import ErrorDetails

from orchestrator.errors import SpecError
from orchestrator.sweep.strict_yaml import Place

MOST_LINES = 20

_LIST = "it must be a list"
# By pydantic's type of error; braces take what pydantic knows about it.
_NEEDS = {
    "int_type": "it must be a whole number",
    "int_parsing": "it must be a whole number",
    "float_type": "it must be a number",
    "bool_type": "it must be true or false",
    "string_type": "it must be text; put it in quotes",
    "list_type": _LIST,
    "tuple_type": _LIST,
    "dict_type": "it must be a mapping",
    "model_type": "it must be a mapping",
    "dataclass_type": "it must be a mapping",
    "finite_number": "it must be finite",
    "literal_error": "allowed: {expected}",
    "greater_than": "it must be above {gt:g}",
    "greater_than_equal": "it must be at least {ge:g}",
    "less_than": "it must be below {lt:g}",
    "less_than_equal": "it must be at most {le:g}",
    "too_short": "it must not be empty",
    "string_too_short": "it must not be empty",
    "string_pattern_mismatch": (
        "it must be at most 64 letters, digits, '_', '-' and '.', starting with a letter or digit"
    ),
}


class Faults:
    """Everything found wrong so far, in order, each said once."""

    def __init__(self) -> None:
        self._lines: dict[str, str] = {}

    def add(self, place: Place, problem: str, example: str = "") -> None:
        """Note a problem; of those that differ only by the example, the first is told."""
        line = f"{place}: {problem}"
        self._lines.setdefault(line, f"{line} ({example})" if example else line)

    def refuse(self) -> None:
        """Raise them all as one SpecError, unless there are none."""
        lines = list(self._lines.values())
        if len(lines) > MOST_LINES:
            lines[MOST_LINES:] = [f"... and {len(lines) - MOST_LINES} more"]
        if lines:
            raise SpecError("\n".join(lines))


def explain(detail: ErrorDetails, key: str) -> str:
    """One fault of pydantic's in our words."""
    if detail["type"] == "missing":
        return f"{key} is missing; give it a value"
    context: dict[str, Any] = detail.get("ctx", {})
    if detail["type"] == "value_error":
        words = str(context["error"])
        return words if words.startswith(f"{key}.") or not key else f"{key}: {words}"
    if "expected" in context:
        context = {**context, "expected": re.sub(r"'|,? or ", _plainly, context["expected"])}
    need = _NEEDS.get(detail["type"])
    if need == _LIST and isinstance(detail["input"], dict):
        need = (
            f"{_LIST}, {{{{range: [start, end, step]}}}} or {{{{logspace: [start, end, count]}}}}"
        )
    return (
        f"{key} is {_shown(detail['input'])}; {need.format(**context) if need else detail['msg']}"
    )


def spelled(path: tuple[str | int, ...]) -> str:
    """``grid[0].optim.lr`` for ``("grid", 0, "optim.lr")``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")


def _plainly(found: re.Match[str]) -> str:
    return "" if found[0] == "'" else ", "


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
