"""A command as a list of words, of which no shell ever reads any."""

import shlex
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field


def _split(written: Any) -> Any:
    """The words of a text; a list as it is."""
    if isinstance(written, list):
        return written
    if not isinstance(written, str):
        raise ValueError(f"{written!r} is no command; write a text, or a list of words")  # noqa: TRY004 - pydantic takes a ValueError
    try:
        return shlex.split(written)
    except ValueError as error:
        raise ValueError(f"{written!r} is not to be split into words: {error}") from None


def _can_be_run(words: list[str]) -> list[str]:
    if not words or not words[0].strip():
        raise ValueError("it names no program")
    if "\0" in "".join(words):
        raise ValueError("no word of a command can hold a zero byte")
    return words


_WRITTEN = Annotated[str, Field(min_length=1)] | Annotated[list[str], Field(min_length=1)]
Command = Annotated[
    list[str],
    Field(min_length=1),
    BeforeValidator(_split, json_schema_input_type=_WRITTEN),
    AfterValidator(_can_be_run),
]
"""A text is split as a shell would split it, and nothing else of a shell is done to it."""
