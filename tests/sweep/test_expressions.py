import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import SpecError
from orchestrator.sweep.expressions import DEEPEST, LONGEST, ExpressionError, parse
from orchestrator.sweep.keys import LEAVES, unknown_setting
from orchestrator.sweep.operators import LONGEST_TEXT, Value

SETTINGS: dict[str, Value] = {
    "a": 7,
    "a.b": 2.5,
    "name": "deit",
    "on": True,
    "none": None,
    "list": (1, 2, 3),
}


def refuse(name: str) -> str | None:
    return None if name in SETTINGS else f"{name} is unknown"


def value(text: str) -> Value:
    return parse(text, refuse).value(SETTINGS.__getitem__)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + 1", 8),
        ("a.b * 2 - 1", 4.0),
        ("a // 2", 3),
        ("a / 2", 3.5),
        ("a % 4", 3),
        ("-a ** 2", -49),
        ("2 ** -1", 0.5),
        ("2 ** 70.0", 2.0**70),
        ("1 < a <= 7 != 8", True),
        ("1 < a < 2 < 1/0", False),
        ("name == 'deit' and not on", False),
        ("none or on", True),
        ("on or 1/0 > 1", True),
        ("a in [1, 7]", True),
        ("2 not in list", False),
        ("'ei' in name", True),
        ("name + '-s'", "deit-s"),
        ("a if on else 1/0", 7),
        ("(1, 'x', null)", (1, "x", None)),
        ("none == null", True),
        ("true == True", True),
        ("min(a, 3, 9)", 3),
        ("max(list)", 3),
        ("round(a.b / 3, 2)", 0.83),
        ("round(a.b + 0.1)", 3),
        ("abs(-a)", 7),
        ("int('12') + int(2.9)", 14),
        ("float(a)", 7.0),
        ("str(a) + str(a.b) + str(none) + str(on)", "72.5nulltrue"),
        ("len(name) + len(list)", 7),
        ("  a\n >\n 3 ", True),
    ],
)
def test_an_expression_means_what_it_does_in_python(text: str, expected: Value) -> None:
    found = value(text)

    assert found == expected
    assert type(found) is type(expected)


def test_an_expression_tells_the_names_that_it_reads() -> None:
    assert parse("a.b > 1 and (a < 3 or a.b < name)", refuse).names == ("a.b", "a", "name")


def test_every_configuration_key_can_be_read() -> None:
    for key in LEAVES:
        assert parse(key, unknown_setting).names == (key,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "column 1: it is empty; an expression has names of settings"),
        ("a +", "column 4: it ends too early"),
        ("a = 7", "column 3: = 7 cannot be read here; write =="),
        ("a > 1 && on", "column 8: & on cannot be read here; write and"),
        ("a > 1 & on", "column 5: 1 & on works on bits; write and"),
        ("a == == 1", "column 6: == 1 cannot be read here"),
        ("a is null", "column 1: there is no is; write == or !="),
        ("a and zz > 1", "column 7: zz is unknown"),
        ("'é' + zz", "column 7: zz is unknown"),
        ("\n  on and zz", "column 11: zz is unknown"),
        ("a.__class__", "column 1: a.__class__ is unknown"),
        ("'x'.join", "column 1: only names have dots, not 'x'"),
        ("open('x')", "column 1: there is no function open; there are min, max"),
        ("a.b(1)", "column 1: there is no function a.b; there are min, max"),
        (
            "min(a, key=len)",
            "column 1: min takes 1 to 100 values in its parentheses, without names",
        ),
        ("len()", "column 1: len takes 1 values in its parentheses"),
        ("a / 0", "column 1: a / 0: division by zero"),
        ("1 + a % 0", "column 5: a % 0: division by zero"),
        (
            "name > 3",
            "column 1: name > 3: > takes two numbers or two texts, not 'deit' (a text), 3",
        ),
        (
            "none < 1",
            "column 1: none < 1: < takes two numbers or two texts, not null, 1 (a number)",
        ),
        ("on + 1", "column 1: on + 1: + takes numbers, not true (a truth value), 1 (a number)"),
        ("a or on", "column 1: a: 7 is a number, neither true nor false; compare it"),
        ("on and name", "column 8: name: 'deit' is a text, neither true nor false; compare it"),
        ("name * 9", "column 1: name * 9: * takes numbers"),
        ("name % a", "column 1: name % a: % takes numbers"),
        ("9 ** 9 ** 9", "column 1: 9 ** 9 ** 9: it gives a number that is too large"),
        ("(-8) ** 0.5", "column 1: (-8) ** 0.5: it gives no real number"),
        ("1e308 * 10", "column 1: 1e308 * 10: it gives a number that is not finite"),
        ("2 ** 63", "column 1: 2 ** 63: it gives a whole number of more than 64 bits"),
        ("9" * 99, f"column 1: {'9' * 37}...: it gives a whole number of more than 64 bits"),
        ("round(a, 31)", "column 1: round(a, 31): round takes at most 30 digits, not 31"),
        ("int('x')", "column 1: int('x'): int cannot read 'x'"),
        ("float('nan')", "column 1: float('nan'): it gives a number that is not finite"),
        ("max()", "column 1: max takes 1 to 100 values"),
        ("max([])", "column 1: max([]): max takes numbers alone or texts alone"),
        ("str(list)", "column 1: str(list): [1, 2, 3] is a list, which str does not take"),
        ("1 in a", "column 1: 1 in a: in takes a list, or a text in a text, not 1"),
        ("-" * 41 + "1", f"column 41: it is nested more than {DEEPEST} levels deep"),
        ("(a + 1", "column 1: ( is never closed"),
        ("(" * 400, "column "),
        ("a" * (LONGEST + 1), f"column {LONGEST + 1}: it has {LONGEST + 1} characters"),
        ("a\0", "column "),
        ("\ud800", "column 1: it cannot be read"),
    ],
)
def test_what_is_wrong_is_told_with_its_column(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as refusal:
        value(text)

    assert str(refusal.value).startswith(message)


@pytest.mark.parametrize("text", ["a", "name", "list", "a + 1"])
def test_a_question_must_be_answered_by_yes_or_no(text: str) -> None:
    with pytest.raises(ExpressionError, match="neither true nor false; compare it"):
        parse(text, refuse).holds(SETTINGS.__getitem__)


@pytest.mark.parametrize(
    "text",
    [
        *("lambda: 1", "[x for x in list]", "{x: 1 for x in list}", "{1, 2}", "{}", "list[0]"),
        *("a.b.c", "(a := 3)", "f'{a}'", "b'x'", "1j", "...", "*list", "yield a", "await a"),
        *("().__class__", "'{0.__class__}'.format(a)", "getattr(a, 'b')", "eval('a')"),
        *("__import__('os')", "a; a", "import os", "~a", "a @ a", "a << 3", "a >> 3", "a | 3"),
        *("min(*list)", "min(**list)", "(min)(a)(a)", "str.join", "not", "a.", ".b", "print"),
    ],
)
def test_whatever_else_python_has_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse(text, refuse)


PIECES = st.sampled_from(
    [
        *(
            "a",
            "a.b",
            "name",
            "on",
            "none",
            "list",
            "0",
            "1",
            "7.5",
            "1e300",
            "9" * 18,
            "'x'",
            "[]",
        ),
        *("(", ")", "[", "]", ",", " and ", " or ", " not ", " in ", " if ", " else ", " is "),
        *("+", "-", "*", "/", "//", "%", "**", "<", "==", ">=", "!=", "=", "&", ".", ":", "lambda"),
        *("min(", "max(", "round(", "abs(", "int(", "float(", "str(", "len(", "open(", "__class__"),
    ]
)


def reads_or_refuses(text: str) -> None:
    """Read and evaluate; what comes out is a bounded value, or a SpecError."""
    try:
        found = value(text)
    except SpecError:
        return
    for part in found if isinstance(found, tuple) else (found,):
        if isinstance(part, float):
            assert math.isfinite(part)
        elif isinstance(part, str):
            assert len(part) <= LONGEST_TEXT
        elif isinstance(part, int):
            assert part.bit_length() < 64
        else:
            assert part is None or isinstance(part, tuple)


@given(st.lists(PIECES, max_size=25).map("".join))
def test_an_expression_of_any_pieces_has_a_value_or_a_fault(text: str) -> None:
    reads_or_refuses(text)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    reads_or_refuses(text)


def grown(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    joined: Callable[..., str] = "({} {} {})".format
    signs = st.sampled_from(["+", "-", "*", "/", "//", "%", "**", "<", "==", "and", "or", "in"])
    calls = st.sampled_from(["min", "max", "round", "abs", "int", "float", "str", "len"])
    return (
        st.builds(joined, parts, signs, parts)
        | st.builds("{}({})".format, calls, parts)
        | st.builds("{}({}, {})".format, calls, parts, parts)
        | st.builds("({} if {} else {})".format, parts, parts, parts)
        | st.builds("[{}, {}]".format, parts, parts)
        | st.builds("(not {})".format, parts)
    )


ATOMS = st.sampled_from([*SETTINGS, "2", "9" * 18, "0.0", "1e300", "-1", "64", "'ab'", "true"])


@given(st.recursive(ATOMS, grown, max_leaves=30))
def test_every_well_formed_expression_has_a_value_or_a_fault(text: str) -> None:
    reads_or_refuses(text)


NUMBERS = st.integers(-50, 50) | st.floats(-1e3, 1e3).map(lambda number: round(number, 3))


@given(NUMBERS, NUMBERS, st.sampled_from(["+", "-", "*", "/", "//", "%", "<", "<=", "==", "!="]))
def test_arithmetic_is_pythons(first: float, second: float, sign: str) -> None:
    text = f"({first}) {sign} ({second})"
    try:
        expected = eval(text)  # noqa: S307 - two numbers and a sign
    except ZeroDivisionError:
        with pytest.raises(ExpressionError, match="division by zero"):
            value(text)
        return

    assert value(text) == expected
