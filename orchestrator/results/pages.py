"""What every page of ours has in common: one HTML file, no script, nothing outside of it."""

import re
from collections.abc import Iterable
from html import escape

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
COLOURS = """
:root { color-scheme: light dark; --ink: #1c1e21; --soft: #565d68; --paper: #ffffff;
  --line: #d9dce1; --card: #f6f7f9; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #a3abb6; --paper: #16181b;
  --line: #363b42; --card: #202328; } }
"""
"""By day and by night; a page's own style goes on from there."""


def document(title: str, style: str, parts: Iterable[str]) -> str:
    """A whole page of parts that are HTML; the title is not."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"<title>{escape(title)}</title>\n<style>{COLOURS}{style}</style>\n</head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )


def breakable(name: str) -> str:
    """A long name that may go on in the next line after its joints."""
    return re.sub(r"([/._])", r"\1<wbr>", escape(name))
