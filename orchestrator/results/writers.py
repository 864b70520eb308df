"""A table of results as CSV, Markdown and LaTeX."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.results.sheet import Sheet

LATEX: Mapping[str, str] = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "<": "$<$",
    ">": "$>$",
}
"""What LaTeX has for signs that mean something else to it."""
_MINUS = re.compile(r"(?<![\w.])-(?=\d)")


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Plain values, a line for each row; what is not there is empty."""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().rstrip("\n")


def as_markdown(sheet: Sheet) -> str:
    """A table as GitHub and others read it, with the notes below."""
    rule = ["---:" if name in sheet.numbers else "---" for name in sheet.columns]
    lines = [
        f"| {' | '.join(text.replace('|', chr(92) + '|') for text in line)} |"
        for line in (sheet.columns, rule, *sheet.rows)
    ]
    return "\n".join([*lines, *(f"\n{note}" for note in sheet.notes)])


def as_latex(sheet: Sheet) -> str:
    r"""A ``tabular`` with the rules of booktabs (``\usepackage{booktabs}``), and the notes."""
    kinds = "".join("r" if name in sheet.numbers else "l" for name in sheet.columns)
    head, *body = [_line(line) for line in (sheet.columns, *sheet.rows)]
    table = [
        f"\\begin{{tabular}}{{{kinds}}}",
        *("\\toprule", head, "\\midrule", *body, "\\bottomrule"),
        "\\end{tabular}",
    ]
    notes = [f"{latex(note)}\\par" for note in sheet.notes]
    return "\n".join([*table, *(["\\par{\\footnotesize", *notes, "}"] if notes else [])])


def _line(texts: Sequence[str]) -> str:
    r"""A line of a ``tabular``, apart from ``\\`` before it, which takes ``[...]`` and ``*``."""
    line = " & ".join(map(latex, texts))
    return f"{'{}' if line.startswith(('[', '*')) else ''}{line} \\\\"


def latex(text: str) -> str:
    """Text as LaTeX sets it, minus signs before numbers as such."""
    escaped = "".join(LATEX.get(sign, sign) for sign in text)
    return _MINUS.sub("$-$", escaped)
