"""Every mistake that the language knows, and what is said of it: faults.txt."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from jsonschema import Draft202012Validator

from orchestrator.sweep.strict_yaml import parse_document

GOLDEN = Path(__file__).with_name("faults.txt")
PLACE = re.compile(r"a\.yaml(:\d+)?: ")

Refused = Callable[..., list[str]]


def sweeps() -> Iterator[str]:
    """The sweeps of the golden file, without what is said of them."""
    for section in GOLDEN.read_text().split("\n\n")[1:]:
        lines = section.strip("\n").splitlines()
        yield "".join(f"{line}\n" for line in lines if not line.startswith(">"))


def test_what_is_said_of_a_mistake(refused: Refused, editor: Draft202012Validator) -> None:
    sections = [GOLDEN.read_text().split("\n\n")[0]]
    for text in sweeps():
        lines = refused(text)
        assert all(PLACE.match(line) for line in lines), text
        mark = ">" if editor.is_valid(parse_document(text, "a.yaml").plain) else ">>"
        sections.append(text + "\n".join(f"{mark} {line}" for line in lines))
    told = "\n\n".join(sections) + "\n"
    if os.environ.get("ACCEPT_GOLDEN"):
        GOLDEN.write_text(told)

    assert told == GOLDEN.read_text(), (
        f"what is said of a mistake has changed; if it is meant so: "
        f"ACCEPT_GOLDEN=1 python -m pytest {__file__}"
    )
