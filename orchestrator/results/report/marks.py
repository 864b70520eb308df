"""How each arm is drawn, everywhere: one colour by day and one by night, a marker, a line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
"""So that arms are told apart in grey, too."""


@dataclass(frozen=True, slots=True)
class Family:
    """Arms that do the same kind of thing: their name, line, and colours by day and by night."""

    name: str
    line: str
    colours: Sequence[tuple[str, str]]


PLAIN = Family(
    "plain", "-", (("#1c1e21", "#e6e8eb"), ("#6b7280", "#9aa3af"), ("#4b5563", "#c3c9d2"))
)
REGISTERS = Family(
    "registers",
    "-",
    (
        *(("#3f93d9", "#4a90d9"), ("#2f7fc4", "#69a7e6"), ("#2369aa", "#8abcef")),
        *(("#1a5490", "#a9d0f6"), ("#123f75", "#c7e1fb"), ("#0b2c57", "#e3f0fe")),
    ),
)
GATE = Family(
    "gate",
    "--",
    (
        *(("#d55e00", "#f08436"), ("#a0650a", "#e3b341"), ("#b0306a", "#f27ab0")),
        *(("#7a3b00", "#d9a066"), ("#c2410c", "#fb923c")),
    ),
)
BOTH = Family("both", "-.", (("#7b3fa0", "#c58af0"), ("#5b2a86", "#dcb5f7")))
OTHER = Family(
    "other",
    ":",
    (
        ("#008a65", "#2fc79a"),
        ("#4d7c0f", "#a3d14b"),
        ("#0f766e", "#5cd6c9"),
        ("#3f6212", "#c5e86c"),
    ),
)
FAMILIES = (PLAIN, REGISTERS, GATE, BOTH, OTHER)
"""Blues grow darker by day (brighter by night) with the number of registers; the families differ in
hue for colour-blind readers as well, and each colour stands out from its paper by 3 to 1 at least.
"""


@dataclass(frozen=True, slots=True)
class Mark:
    """How one arm is drawn."""

    family: str
    colour: str
    """By day, and in files of figures."""
    marker: str
    line: str


def family_of(model: Mapping[str, Any]) -> Family:
    """What kind of arm a model's settings make."""
    gated, registers = model.get("gate") is not None, bool(model.get("registers"))
    if model.get("attention", "softmax") != "softmax":
        return OTHER
    if gated and registers:
        return BOTH
    return GATE if gated else REGISTERS if registers else PLAIN


def marks_of(families: Sequence[Family]) -> list[Mark]:
    """A mark for each arm, given the families of all in order; colours of a family are cycled."""
    seen: dict[str, int] = {}
    marks = []
    for place, family in enumerate(families):
        number = seen.get(family.name, 0)
        seen[family.name] = number + 1
        colour = family.colours[number % len(family.colours)][0]
        marks.append(Mark(family.name, colour, MARKERS[place % len(MARKERS)], family.line))
    return marks


def variables() -> dict[str, tuple[str, str, str]]:
    """By each colour of the day: its name as a CSS variable, itself, and its colour by night."""
    return {
        day: (f"--{family.name}-{number}", day, night)
        for family in FAMILIES
        for number, (day, night) in enumerate(family.colours)
    }
