"""A figure of the page: its words, and its drawing as inline SVG or as files."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.results.report.marks import variables

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENDINGS = ("svg", "pdf")
"""Of the files in which a figure is kept for a paper."""
CARD_IN = 2.7
"""Width of a figure that has a card of the page: so wide that its words are as large as others."""
WIDE_IN = 3.6
"""Width of one that has a row of its own."""
UNDATED: dict[str, dict[str, None]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
PIXELS = 200
"""For each inch of the images in a figure."""
_ID = re.compile(r' id="([^"]+)"')
_REFERENCE = re.compile(r'(?:url\(#|href="#)([^")]+)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A figure and its words.

    Attributes:
        name: unique on the page; of its files.
        caption: how to read it.
        alt: what it shows, in words and numbers.
    """

    name: str
    title: str
    caption: str
    alt: str
    figure: "Figure"


def inline(picture: Picture) -> str:
    """The drawing as an ``<svg>`` element whose ids are its own and whose colours follow the page.

    The same figure gives the same text.
    """
    text = _saved(picture, "svg", transparent=True).decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<style[^>]*>.*?</style>", "", text, flags=re.DOTALL)  # would be the page's
    text = _own_ids(text, picture.name)
    for colour, (name, day, _) in variables().items():
        text = text.replace(colour, f"var({name}, {day})")
    text = text.replace("stroke: #000000", "stroke: currentColor")
    head, body = text.split(">", 1)
    box = re.search(r'viewBox="([^"]+)"', head)
    assert box is not None
    label = escape(picture.alt)
    return (
        f'<svg role="img" aria-label="{label}" viewBox="{box[1]}" fill="currentColor">'
        + re.sub(r"\n\s*", "\n", body).strip()
    )


def save(picture: Picture, folder: Path) -> list[Path]:
    """Keep the figure as files for a paper, on white."""
    paths = [folder / f"{picture.name}.{ending}" for ending in ENDINGS]
    for path in paths:
        path.write_bytes(_saved(picture, path.suffix[1:], transparent=False))
    return paths


def _saved(picture: Picture, ending: str, *, transparent: bool) -> bytes:
    buffer = io.BytesIO()
    _lay_out(picture.figure)
    with _settings(picture.name):
        picture.figure.savefig(
            buffer,
            format=ending,
            metadata=UNDATED[ending],
            transparent=transparent,
            dpi=PIXELS,
        )
    return buffer.getvalue()


def _lay_out(figure: "Figure") -> None:
    """Give all parts their places, once: each format measures text otherwise and would move them.

    So a figure looks the same in all of them, in whatever order they are written.
    """
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()
        figure.set_layout_engine("none")


@contextmanager
def _settings(salt: str) -> Iterator[None]:
    """Text stays text, in the page's own type; ids are the same each time."""
    from matplotlib import rc_context

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": salt, "pdf.fonttype": 42}):
        yield


def _own_ids(text: str, name: str) -> str:
    """Only ids that something refers to, with the figure's name before them."""
    wanted = set(_REFERENCE.findall(text))

    def renamed(found: re.Match[str]) -> str:
        return f' id="{name}-{found[1]}"' if found[1] in wanted else ""

    text = _ID.sub(renamed, text)
    return re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", text)
