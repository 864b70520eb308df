"""A small expression language over named values: read by Python's parser, evaluated by ourselves.

Names are dotted keys, which a look-up answers. Beside them there are numbers, texts, ``true``,
``false``, ``null`` (Python's spelling will do), lists, comparisons, ``and or not in``, arithmetic,
``a if c else b`` and the functions of ``operators``. Anything else is refused, and every expression
has an answer or a fault soon: its length, its depth and each of its results are bounded.
"""

import ast
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from orchestrator.errors import SpecError
from orchestrator.sweep.operators import (
    BINARY,
    COMPARISONS,
    FUNCTIONS,
    UNARY,
    OperandError,
    Value,
    bounded,
    truth,
)

LONGEST = 1000
DEEPEST = 40
MOST_SHOWN = 40

LookUp = Callable[[str], Value]
Step = Callable[[LookUp], Value]
T = TypeVar("T")

WORDS: Mapping[str, Value] = {"true": True, "false": False, "null": None}
"""Names that YAML has for what Python spells with a capital."""
INSTEAD = {"&&": "and", "||": "or", "!": "not", "=": "=="}
"""Signs that other languages have, and what to write."""
INSTEAD_OF_BITS = {ast.BitAnd: "and", ast.BitOr: "or", ast.BitXor: "**"}
_FOREIGN = re.compile(r"&&|\|\||!(?!=)|(?<![=<>!:])=(?!=)")
PARTS = (
    "an expression has names of settings, numbers, texts, true, false, null, lists, comparisons, "
    f"and, or, not, in, + - * / // % **, a if c else b, and {', '.join(FUNCTIONS)}"
)


class ExpressionError(SpecError):
    """An expression cannot be read, or has no value; ``column`` counts from 1."""

    def __init__(self, column: int, problem: str) -> None:
        super().__init__(f"column {column}: {problem}")
        self.column = column


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression that was read; ``names`` are those it looks up, in order, each once."""

    text: str
    names: tuple[str, ...]
    step: Step = field(repr=False, compare=False)

    def value(self, look_up: LookUp) -> Value:
        """What it gives where names stand for what ``look_up`` answers.

        Raises:
            ExpressionError: it has no value there, such as after a division by zero.
        """
        return self.step(look_up)

    def holds(self, look_up: LookUp) -> bool:
        """``value`` as the answer to a yes-or-no question.

        Raises:
            ExpressionError: it has no value there, or one that is neither true nor false nor null.
        """
        try:
            return truth(self.step(look_up))
        except OperandError as error:
            raise ExpressionError(1, str(error)) from None


def parse(text: str, refuse: Callable[[str], str | None]) -> Expression:
    """Read an expression. ``refuse`` says why a name is not known, or None of one that is.

    Raises:
        ExpressionError: it is too long or too deep, or something in it is not of the language.
    """
    if len(text) > LONGEST:
        raise ExpressionError(
            LONGEST + 1, f"it has {len(text)} characters; an expression has at most {LONGEST}"
        )
    line = "".join(" " if character.isspace() else character for character in text).rstrip()
    start = len(line) - len(line.lstrip())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's own about odd literals
            tree = ast.parse(line[start:], mode="eval")
    except SyntaxError as error:
        column = start + error.offset if error.offset else len(line) + 1
        raise _unreadable(line, column, error.msg) from None
    except (ValueError, RecursionError, MemoryError):
        raise ExpressionError(1, "it cannot be read; write it more simply") from None
    reader = _Reader(line, start, refuse)
    step = reader.step(tree.body, DEEPEST)
    return Expression(text, tuple(reader.names), step)


def _unreadable(line: str, column: int, words: str) -> ExpressionError:
    rest = line[column - 1 :]
    if not rest:
        return ExpressionError(column, f"it is empty; {PARTS}" if not line else "it ends too early")
    if "never closed" in words:
        return ExpressionError(column, f"{rest[0]} is never closed")
    foreign = _FOREIGN.search(line[max(0, column - 2) : column + 1])
    instead = f"; write {INSTEAD[foreign[0]]}" if foreign else ""
    return ExpressionError(column, f"{_cut(rest)} cannot be read here{instead}")


def _cut(text: str) -> str:
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."


class _Reader:
    """The walk over one expression's tree; each node becomes a step of its evaluation."""

    def __init__(self, line: str, start: int, refuse: Callable[[str], str | None]) -> None:
        self.line, self.start, self.refuse = line, start, refuse
        self.names: dict[str, None] = {}

    def step(self, node: ast.expr, depth: int) -> Step:
        if depth == 0:
            raise self.fault(node, f"it is nested more than {DEEPEST} levels deep")
        if type(node) not in _KINDS:
            raise self.fault(node, f"{self.quoted(node)} is not allowed: {PARTS}")
        return _KINDS[type(node)](self, node, depth)

    def constant(self, node: ast.Constant, _: int) -> Step:
        value = node.value
        if not (value is None or isinstance(value, bool | int | float | str)):
            raise self.fault(node, f"{self.quoted(node)} is not allowed: {PARTS}")
        self.located(node, lambda: bounded(value))
        return lambda _: value

    def name(self, node: ast.Name | ast.Attribute, _: int) -> Step:
        name = self.dotted(node)
        if name in WORDS:
            value = WORDS[name]
            return lambda _: value
        if problem := self.refuse(_cut(name)):
            raise self.fault(node, problem)
        self.names.setdefault(name)
        return lambda look_up: look_up(name)

    def dotted(self, node: ast.expr) -> str:
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            raise self.fault(node, f"only names have dots, not {self.quoted(node)}")
        return ".".join([node.id, *reversed(parts)])

    def listed(self, node: ast.List | ast.Tuple, depth: int) -> Step:
        items = [self.step(item, depth - 1) for item in node.elts]
        return lambda look_up: tuple([item(look_up) for item in items])

    def unary(self, node: ast.UnaryOp, depth: int) -> Step:
        if type(node.op) not in UNARY:
            raise self.fault(node, f"{self.quoted(node)} is not allowed: {PARTS}")
        return self.applied(node, UNARY[type(node.op)], [node.operand], depth)

    def binary(self, node: ast.BinOp, depth: int) -> Step:
        if instead := INSTEAD_OF_BITS.get(type(node.op)):
            raise self.fault(node, f"{self.quoted(node)} works on bits; write {instead}")
        if type(node.op) not in BINARY:
            raise self.fault(node, f"{self.quoted(node)} is not allowed: {PARTS}")
        return self.applied(node, BINARY[type(node.op)], [node.left, node.right], depth)

    def applied(
        self, node: ast.expr, compute: Callable[..., Value], parts: list[ast.expr], depth: int
    ) -> Step:
        steps = [self.step(part, depth - 1) for part in parts]
        return lambda look_up: self.located(
            node, lambda: compute(*[step(look_up) for step in steps])
        )

    def junction(self, node: ast.BoolOp, depth: int) -> Step:
        steps = [self.condition(part, depth) for part in node.values]
        choose = all if isinstance(node.op, ast.And) else any
        return lambda look_up: choose(step(look_up) for step in steps)

    def condition(self, node: ast.expr, depth: int) -> Callable[[LookUp], bool]:
        step = self.step(node, depth - 1)
        return lambda look_up: self.located(node, lambda: truth(step(look_up)))

    def comparison(self, node: ast.Compare, depth: int) -> Step:
        if not all(type(op) in COMPARISONS for op in node.ops):
            raise self.fault(node, "there is no is; write == or !=")
        first, *others = [self.step(part, depth - 1) for part in (node.left, *node.comparators)]
        links = list(zip([COMPARISONS[type(op)] for op in node.ops], others, strict=True))

        def compared(look_up: LookUp) -> Value:
            left = first(look_up)
            for compare, step in links:
                right = step(look_up)
                if not compare(left, right):
                    return False
                left = right
            return True

        return lambda look_up: self.located(node, lambda: compared(look_up))

    def conditional(self, node: ast.IfExp, depth: int) -> Step:
        test = self.condition(node.test, depth)
        then, otherwise = (self.step(part, depth - 1) for part in (node.body, node.orelse))
        return lambda look_up: (then if test(look_up) else otherwise)(look_up)

    def call(self, node: ast.Call, depth: int) -> Step:
        name = self.segment(node.func)
        if name not in FUNCTIONS:
            problem = f"there is no function {_cut(name)}; there are {', '.join(FUNCTIONS)}"
            raise self.fault(node, problem)
        function = FUNCTIONS[name]
        if node.keywords or not function.least <= len(node.args) <= function.most:
            counts = f"{function.least} to {function.most}" if function.most > 1 else "1"
            raise self.fault(
                node, f"{name} takes {counts} values in its parentheses, without names"
            )
        return self.applied(node, function.compute, node.args, depth)

    def located(self, node: ast.expr, compute: Callable[[], T]) -> T:
        """What ``compute`` gives; a fault that has no column yet stands at ``node``."""
        try:
            return compute()
        except OperandError as error:
            raise self.fault(node, f"{self.quoted(node)}: {error}") from None

    def quoted(self, node: ast.expr) -> str:
        return _cut(self.segment(node))

    def segment(self, node: ast.expr) -> str:
        encoded = self.line[self.start :].encode()
        return encoded[node.col_offset : node.end_col_offset].decode()

    def fault(self, node: ast.expr, problem: str) -> ExpressionError:
        before = self.line[self.start :].encode()[: node.col_offset].decode()
        return ExpressionError(self.start + len(before) + 1, problem)


_KINDS: Mapping[type[ast.expr], Callable[[_Reader, Any, int], Step]] = {
    ast.Constant: _Reader.constant,
    ast.Name: _Reader.name,
    ast.Attribute: _Reader.name,
    ast.List: _Reader.listed,
    ast.Tuple: _Reader.listed,
    ast.UnaryOp: _Reader.unary,
    ast.BinOp: _Reader.binary,
    ast.BoolOp: _Reader.junction,
    ast.Compare: _Reader.comparison,
    ast.IfExp: _Reader.conditional,
    ast.Call: _Reader.call,
}
"""The nodes of Python's that the language has; no other is looked into."""
