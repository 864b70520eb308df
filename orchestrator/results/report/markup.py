"""HTML of plain values: whatever is not said to be HTML is escaped."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Self


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()

    @classmethod
    def joined(cls, parts: Iterable[str], between: str = "\n") -> Self:
        """Several one after the other."""
        return cls(between.join(map(html, parts)))


def html(value: str) -> str:
    """As it stands in a page."""
    return value if isinstance(value, Html) else escape(value)


def tag(name: str, *content: str, **attributes: str) -> Html:
    """An element; ``class_`` is the attribute class, an underscore within a name a hyphen."""
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value
    )
    return Html(f"<{name}{told}>{''.join(map(html, content))}</{name}>")


def section(identity: str, title: str, *content: str) -> Html:
    """A part of the page under a heading of its own."""
    return tag(
        "section",
        tag("h2", title, id=identity),
        Html.joined(("", *content, "")),
        aria_labelledby=identity,
    )


def table(  # noqa: PLR0913 - a table has so many parts, the last three by name
    caption: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numbers: Sequence[str] = (),
    marked: int | None = None,
    class_: str = "",
) -> Html:
    """A table that scrolls within its own box; the first cell of a row is its heading.

    ``numbers``: columns whose cells stand to the right; ``marked``: the place of a row that stands
    out.
    """
    sides = ["n" if column in numbers else "" for column in columns]
    head = [
        tag("th", column, scope="col", class_=side)
        for column, side in zip(columns, sides, strict=True)
    ]
    body = [
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            *(tag("td", cell, class_=side) for cell, side in zip(row[1:], sides[1:], strict=True)),
            class_="marked" if place == marked else "",
        )
        for place, row in enumerate(rows)
    ]
    made = tag(
        "table",
        tag("caption", tag("span", caption)),
        tag("thead", tag("tr", *head)),
        tag("tbody", Html.joined(body)),
        class_=class_,
    )
    return tag("div", made, class_="scroll", tabindex="0", role="region", aria_label=caption)
