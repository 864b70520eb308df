import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import SpecError
from orchestrator.sweep.strict_yaml import (
    LARGEST_FILE_BYTES,
    MOST_VALUES,
    Plain,
    parse_document,
    read_document,
)

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)
MAPPED_LAUGHS = "a: &a {k: 1}\n" + "".join(
    f"{after}: &{after} {{{', '.join(f'k{n}: *{before}' for n in range(10))}}}\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1.0e-3", 0.001),
        ("1E5", 100000.0),
        (".5", 0.5),
        ("-2.", -2.0),
        ("3", 3),
        ("-3", -3),
        ("+3", 3),
        ("0", 0),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("'null'", "null"),
        ('"3"', "3"),
        ("yes", "yes"),
        ("off", "off"),
        ("010", "010"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        (".", "."),
        ("e5", "e5"),
        ("=", "="),
    ],
)
def test_a_word_means_what_yaml_1_2_says(text: str, value: Plain) -> None:
    read = parse_document(f"key: {text}", "a").plain

    assert read == {"key": value}
    assert isinstance(read, dict)
    assert type(read["key"]) is type(value)


def test_minus_zero_is_zero() -> None:
    assert str(parse_document("-0.0", "a").plain) == "0.0"


@given(st.floats(allow_nan=False) | st.integers(-(2**63), 2**63 - 1))
def test_a_number_is_read_as_python_writes_it(number: float) -> None:
    text = repr(number).replace("inf", ".inf")

    assert parse_document(text, "a").plain == number


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    refusal = ""
    try:
        parse_document(text, "a.yaml")
    except SpecError as error:
        refusal = str(error)

    assert re.fullmatch(r"(a\.yaml:[0-9]+: .+)?", refusal)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\nname: b", "a.yaml:2: the key name stands twice, first on line 1"),
        ("a:\n  1: x", "a.yaml:2: the key 1 is not text; put it in quotes"),
        ("true: x", "a.yaml:1: the key true is not text; put it in quotes"),
        ("? [a]\n: b", "a.yaml:1: a key must be plain text"),
        ('"a\\nb": 1', "a.yaml:1: the key 'a\\nb' holds a character that cannot be shown"),
        ("a: &x {b: 1}\nc:\n  <<: *x", "a.yaml:3: merge keys (<<) are not read; use extends, or"),
        ("\na: !!python/object/apply:os.system [ls]", "a.yaml:2: the tag !!python/object/apply"),
        ("a: !!binary aGk=", "a.yaml:1: the tag !!binary is not allowed"),
        ("a: !mine 3", "a.yaml:1: the tag !mine is not allowed"),
        ("!!str a: 3", "a.yaml:1: a key must be plain text"),
        ("a: 1\n  b: 2", "a.yaml:2: mapping values are not allowed here"),
        ("a: *x", "a.yaml:1: found undefined alias 'x'"),
        ("a: 1\n---\nb: 1", "a.yaml:2: but found another document"),
        ("a: 1\nb: \x07", "a.yaml:2: the character U+0007 is not allowed"),
        ('a: "\\ud800"', "a.yaml:1: holds half of a surrogate pair"),
        ("a: 99999999999999999999", "a.yaml:1: is a whole number of more than 64 bits"),
        ("a: -" + "9" * 5000, "a.yaml:1: is a whole number of more than 64 bits"),
    ],
)
def test_what_yaml_allows_and_a_sweep_does_not_is_refused(text: str, message: str) -> None:
    with pytest.raises(SpecError) as refusal:
        parse_document(text, "a.yaml")

    assert str(refusal.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS, f"holds more than {MOST_VALUES} values"),
        (MAPPED_LAUGHS, f"holds more than {MOST_VALUES} values"),
        ("a: &a [*a]", "is nested more than"),
        ("a: &a {b: *a}", "is nested more than"),
        ("[" * 50_000, "is nested more than"),
        ("- " * 50_000, "is nested more than"),
        ("{a: " * 20_000, "is nested more than"),
    ],
)
def test_a_bomb_is_refused_before_it_goes_off(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_document(text, "a.yaml")


def test_an_alias_repeats_a_value_and_its_line() -> None:
    document = parse_document("a: &x\n  b: 1\nc: *x", "a.yaml")

    assert document.plain == {"a": {"b": 1}, "c": {"b": 1}}
    assert str(document.place(("c", "b"))) == "a.yaml:2"


def test_every_value_knows_its_line() -> None:
    document = parse_document("# note\na:\n  b:\n    - 1\n    - {c: 2}\n", "a.yaml")

    assert [
        document.place(path).line
        for path in [("a",), ("a", "b"), ("a", "b", 0), ("a", "b", 1, "c"), ("a", "nothing")]
    ] == [2, 3, 4, 5, 2]


def test_a_byte_order_mark_is_no_part_of_a_key(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: a")

    assert read_document(path).plain == {"name": "a"}


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"a\.yaml: cannot be read: No such file"):
        read_document(tmp_path / "a.yaml")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot be read: Is a directory"):
        read_document(tmp_path)


def test_bytes_that_are_no_text_are_refused_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"name: a\nquestion: \xff")

    with pytest.raises(SpecError, match=r"a\.yaml:2: is not UTF-8 text"):
        read_document(path)


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("#" * (LARGEST_FILE_BYTES + 1))

    with pytest.raises(SpecError, match=r"a\.yaml: is larger than 128 KiB"):
        read_document(path)
