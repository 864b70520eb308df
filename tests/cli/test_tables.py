import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli import prose, tables

NAMES = ("vanilla,lr=0.001", "gate-after-attention-elementwise,lr=0.001")
COLUMNS = ("arm", "forward MACs", "norms/max_over_median")
ROWS = [(name, "17,344", "90.14 ± 0.14") for name in NAMES]
RIGHT = COLUMNS[1:]
words = st.text("ab,-_/= ", max_size=60)


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@given(words, st.integers(1, 30))
def test_a_broken_text_keeps_its_width_and_loses_nothing_but_blanks(text: str, width: int) -> None:
    broken = tables.broken(text, width)

    assert max(map(len, broken.split("\n"))) <= width
    assert re.sub(r"\s", "", broken) == re.sub(r"\s", "", text)


def test_a_text_breaks_where_its_words_do() -> None:
    assert tables.broken(NAMES[1], 22) == "gate-after-attention-\nelementwise,lr=0.001"
    assert tables.broken("norms/max_over_median", 10) == "norms/max_\nover_\nmedian"
    assert tables.broken("unbreakable", 4) == "unbr\neaka\nble"


@pytest.mark.parametrize(
    ("width", "fitted"), [(200, [41, 12, 21]), (80, [41, 12, 21]), (60, [37, 7, 12])]
)
def test_headings_break_first_and_then_words_give_way_but_never_numbers(
    width: int, fitted: list[int]
) -> None:
    assert tables.fitted(COLUMNS, ROWS, RIGHT, width) == fitted
    assert tables.fitted(COLUMNS, ROWS, RIGHT, 20) == [tables.NARROWEST, 7, 12]


def test_what_rows_share_is_told_once() -> None:
    assert [*tables.once([("a", "1"), ("a", "2"), ("b", "2")])] == [
        ["a", "1"],
        ["", "2"],
        ["b", "2"],
    ]
    assert tables.own_parts(["a,lr=1,seed=0", "a,lr=1,seed=1"]) == ["seed=0", "seed=1"]
    assert tables.own_parts(["a,lr=1,seed=0"]) == ["a,lr=1,seed=0"]
    assert tables.own_parts(["a", "b"]) == ["a", "b"]
    assert tables.own_parts(["a", "a,seed=1"]) == ["a", "a,seed=1"]


def test_sentences_end_lines_between_words_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    told = "  advice: set a smaller placement.micro_batch-of-a-job\n/a/path/that/is/longer/than/it"

    assert prose.laid_out(told, io.StringIO()) == told
    assert prose.laid_out(told, _Terminal()).split("\n") == [
        "  advice: set a smaller",
        "  placement.micro_batch-of-a-job",
        "/a/path/that/is/longer/than/it",
    ]
