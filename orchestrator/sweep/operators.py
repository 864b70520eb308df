"""What expressions compute with: operators and functions whose results are bounded.

Numbers are finite, whole ones of 64 bits, texts of ``LONGEST_TEXT``; so no operation takes long.
What an operator cannot take is an OperandError that says so.
"""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

LONGEST_TEXT = 1000
WORD_BITS = 64
MOST_DIGITS = 30
MOST_SHOWN = 60

Value: TypeAlias = "bool | int | float | str | tuple[Value, ...] | None"


class OperandError(Exception):
    """An operator or a function has no result for these values."""


def shown(value: Value) -> str:
    """A value as one would write it in an expression, cut if it is long."""
    if isinstance(value, tuple):
        written = f"[{', '.join(map(shown, value))}]"
    else:
        written = repr(value) if isinstance(value, str) else text(value)
    return written if len(written) <= MOST_SHOWN else f"{written[: MOST_SHOWN - 3]}..."


def text(value: Value) -> str:
    """A single value as text: ``4``, ``0.001``, ``true``, ``null``.

    Raises:
        OperandError: it is a list.
    """
    if isinstance(value, tuple):
        raise OperandError(f"{shown(value)} is a list, which str does not take")
    words = {None: "null", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else str(value)


def truth(value: Value) -> bool:
    """Whether a condition holds; null does not.

    Raises:
        OperandError: it is neither true nor false nor null.
    """
    if value is None or isinstance(value, bool):
        return bool(value)
    raise OperandError(f"{shown(value)} is {_kind(value)}, neither true nor false; compare it")


def bounded(value: Value) -> Value:
    """``value``, if it is of a size that a setting may have.

    Raises:
        OperandError: it is not.
    """
    if isinstance(value, int) and value.bit_length() >= WORD_BITS:
        raise OperandError(f"it gives a whole number of more than {WORD_BITS} bits")
    if isinstance(value, float) and not math.isfinite(value):
        raise OperandError("it gives a number that is not finite")
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        raise OperandError(f"it gives a text of more than {LONGEST_TEXT} characters")
    if isinstance(value, complex):
        raise OperandError("it gives no real number")
    return value


def _kind(value: Value) -> str:
    if isinstance(value, bool):
        return "a truth value"
    kinds = {int: "a number", float: "a number", str: "a text", tuple: "a list"}
    return kinds.get(type(value), "null")


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _alike(values: tuple[Value, ...]) -> bool:
    """Whether the values have an order: all numbers, or all texts."""
    return all(map(_is_number, values)) or all(isinstance(value, str) for value in values)


def _refusal(what: str, values: tuple[Value, ...], takes: str) -> OperandError:
    given = ", ".join(
        "null" if value is None else f"{shown(value)} ({_kind(value)})" for value in values
    )
    return OperandError(f"{what} takes {takes}, not {given}")


def _arithmetic(sign: str, compute: Callable[..., Any]) -> Callable[..., Value]:
    def computed(*values: Value) -> Value:
        if not all(map(_is_number, values)):
            raise _refusal(sign, values, "numbers")
        try:
            return bounded(compute(*values))
        except ZeroDivisionError:
            raise OperandError("division by zero") from None
        except OverflowError:
            raise OperandError("it gives a number that is too large") from None

    return computed


def _add(first: Value, second: Value) -> Value:
    if isinstance(first, str) and isinstance(second, str):
        return bounded(first + second)
    return _arithmetic("+", operator.add)(first, second)


def _power(base: Any, exponent: Any) -> Any:
    whole = isinstance(base, int) and isinstance(exponent, int)
    if whole and abs(base) > 1 and exponent > WORD_BITS:
        raise OverflowError  # told before it is computed, which may take for ever
    return base**exponent


def _ordered(sign: str, compare: Callable[[Any, Any], bool]) -> Callable[..., Value]:
    def compared(first: Value, second: Value) -> Value:
        if not _alike((first, second)):
            raise _refusal(sign, (first, second), "two numbers or two texts")
        return compare(first, second)

    return compared


def _contains(item: Value, whole: Value) -> bool:
    if isinstance(whole, tuple) or (isinstance(whole, str) and isinstance(item, str)):
        return item in whole
    raise _refusal("in", (item, whole), "a list, or a text in a text")


def _extreme(name: str, choose: Callable[..., Any]) -> Callable[..., Value]:
    def chosen(*values: Value) -> Value:
        among = values[0] if len(values) == 1 and isinstance(values[0], tuple) else values
        if not among or not _alike(among):
            raise _refusal(name, values, "numbers alone or texts alone, as such or in one list")
        found: Value = choose(among)
        return found

    return chosen


def _round(value: Value, digits: Value = None) -> Value:
    if digits is not None and (not isinstance(digits, int) or not abs(digits) <= MOST_DIGITS):
        raise OperandError(f"round takes at most {MOST_DIGITS} digits, not {shown(digits)}")
    return _arithmetic("round", lambda number: round(number, digits))(value)


def _convert(name: str, kind: type[int] | type[float]) -> Callable[..., Value]:
    def converted(value: Value) -> Value:
        if not (_is_number(value) or isinstance(value, str)):
            raise _refusal(name, (value,), "a number or a text")
        try:
            return bounded(kind(value))  # type: ignore[arg-type]
        except ValueError:
            raise OperandError(f"{name} cannot read {shown(value)}") from None

    return converted


def _length(value: Value) -> Value:
    if not isinstance(value, str | tuple):
        raise _refusal("len", (value,), "a text or a list")
    return len(value)


UNARY: Mapping[type[ast.unaryop], Callable[..., Value]] = {
    ast.Not: lambda value: not truth(value),
    ast.USub: _arithmetic("-", operator.neg),
    ast.UAdd: _arithmetic("+", operator.pos),
}
BINARY: Mapping[type[ast.operator], Callable[..., Value]] = {
    ast.Add: _add,
    ast.Sub: _arithmetic("-", operator.sub),
    ast.Mult: _arithmetic("*", operator.mul),
    ast.Div: _arithmetic("/", operator.truediv),
    ast.FloorDiv: _arithmetic("//", operator.floordiv),
    ast.Mod: _arithmetic("%", operator.mod),
    ast.Pow: _arithmetic("**", _power),
}
COMPARISONS: Mapping[type[ast.cmpop], Callable[..., Value]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: _ordered("<", operator.lt),
    ast.LtE: _ordered("<=", operator.le),
    ast.Gt: _ordered(">", operator.gt),
    ast.GtE: _ordered(">=", operator.ge),
    ast.In: _contains,
    ast.NotIn: lambda item, whole: not _contains(item, whole),
}


@dataclass(frozen=True, slots=True)
class Function:
    """A function, and how many values it takes at least and at most."""

    compute: Callable[..., Value]
    least: int = 1
    most: int = 1


FUNCTIONS: Mapping[str, Function] = {
    "min": Function(_extreme("min", min), most=100),
    "max": Function(_extreme("max", max), most=100),
    "round": Function(_round, most=2),
    "abs": Function(_arithmetic("abs", abs)),
    "int": Function(_convert("int", int)),
    "float": Function(_convert("float", float)),
    "str": Function(text),
    "len": Function(_length),
}
