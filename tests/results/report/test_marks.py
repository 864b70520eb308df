import re
from itertools import pairwise

import pytest
from support.built_study import built_study

from orchestrator.results.pages import COLOURS
from orchestrator.results.report.marks import FAMILIES, MARKERS, marks_of
from orchestrator.results.report.tables import DASHES, SHAPES, swatch

LIGHT, DARK = re.findall(r"--paper: (#[0-9a-f]{6})", COLOURS)
CARDS = re.findall(r"--card: (#[0-9a-f]{6})", COLOURS)
PAIRS = [pair for family in FAMILIES for pair in family.colours]


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """As WCAG 2 defines it."""
    dark, bright = sorted((luminance(one), luminance(other)))
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(("day", "night"), PAIRS)
def test_every_colour_stands_out_from_its_paper(day: str, night: str) -> None:
    assert contrast(day, LIGHT) >= 3
    assert contrast(day, CARDS[0]) >= 3
    assert contrast(night, DARK) >= 3
    assert contrast(night, CARDS[1]) >= 3


def test_words_are_readable_by_day_and_by_night() -> None:
    for name in ("ink", "soft"):
        for colour, paper, card in zip(
            re.findall(rf"--{name}: (#[0-9a-f]{{6}})", COLOURS), (LIGHT, DARK), CARDS, strict=True
        ):
            assert min(contrast(colour, paper), contrast(colour, card)) >= 4.5


def test_colours_are_all_different_and_neighbours_differ_in_marker() -> None:
    days = [day for day, _ in PAIRS]
    marks = marks_of([family for family in FAMILIES for _ in family.colours])

    assert len(days) == len(set(days))
    assert [mark.colour for mark in marks] == days
    assert all(one.marker != other.marker for one, other in pairwise(marks))


def test_every_marker_and_line_has_a_drawing_for_the_table() -> None:
    assert SHAPES.keys() == {*MARKERS}
    assert DASHES.keys() == {family.line for family in FAMILIES}
    assert all("var(--" in swatch(arm.mark) for arm in built_study().arms)
