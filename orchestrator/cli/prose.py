"""Sentences: on a terminal their lines end between words, in a log they stay whole."""

import shutil
import sys
import textwrap
from typing import TextIO

import click


def say(words: str, *, err: bool = False) -> None:
    """Print sentences, each line of them for itself; what goes on is indented as its beginning."""
    click.echo(laid_out(words, sys.stderr if err else sys.stdout), err=err)


def laid_out(words: str, stream: TextIO) -> str:
    """The lines as they go to that stream."""
    if not stream.isatty():
        return words
    width = shutil.get_terminal_size().columns
    return "\n".join(_wrapped(line, width) for line in words.split("\n"))


def _wrapped(line: str, width: int) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(
        line,
        width,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
    )
