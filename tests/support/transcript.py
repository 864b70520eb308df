"""A document whose commands are run, and whose answers are held against what they print.

Fenced blocks are walked from top to bottom, in one folder. A block that opens with ``# PATH`` is
written there; a ``diff`` is applied; of a ``console`` block each line ``$ COMMAND`` is run, and
what stands below it is what it printed. Text before a block that ends in ``<!-- as it happens -->``
says that the answers of this block depend on the moment: of them only the exit code is held.
"""

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"(?P<head>[^\n]*)\n```(?P<kind>\w+)\n(?P<body>.*?)```\n", re.DOTALL)
AS_IT_HAPPENS = "<!-- as it happens -->"
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?")
FOLDER = "~/study"
"""How answers call the folder."""
COMMAND_S = 1800
"""So long a command may take: a whole small study on a busy machine."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one command of the document printed, there and now."""

    command: str
    written: str
    said: str
    live: bool

    @property
    def agrees(self) -> bool:
        """Whether both say the same but for numbers and layout."""
        same = _ending(self.written) == _ending(self.said)
        return same and (self.live or words(self.written) == words(self.said))


def words(text: str) -> str:
    """A text without what differs from run to run: numbers, rules of tables, amounts of space."""
    return " ".join(NUMBER.sub("#", re.sub(r"[─━│|]+", " ", text)).split())


def replay(
    document: Path, folder: Path, environment: Mapping[str, str]
) -> tuple[list[Answer], str]:
    """Walk the document in a folder; its answers, and its text as it would be written now."""
    answers: list[Answer] = []

    def walked(block: re.Match[str]) -> str:
        body, kind = block["body"], block["kind"]
        if kind == "diff":
            subprocess.run(["patch", "-p1"], cwd=folder, input=body, text=True, check=True)
        elif named := re.match(r"# (\S+)\n", body):
            path = folder / named[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body)
        if kind != "console":
            return block[0]
        live = block["head"].endswith(AS_IT_HAPPENS)
        told = [
            Answer(command, written, _run(command, folder, environment), live)
            for command, written in _commands(body)
        ]
        answers.extend(told)
        now = "".join(f"$ {one.command}\n{one.said}" for one in told)
        return f"{block['head']}\n```{kind}\n{now}```\n"

    return answers, BLOCK.sub(walked, document.read_text())


def _commands(body: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        command, _, written = part.partition("\n")
        yield command, written


def _run(command: str, folder: Path, environment: Mapping[str, str]) -> str:
    """What a command prints, and how it ended if that was not well."""
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=COMMAND_S,
        check=False,
    )
    said = done.stdout.replace(str(folder), FOLDER)
    said = "".join(f"{line.rstrip()}\n" for line in said.splitlines())
    return said + (f"[exit code {done.returncode}]\n" if done.returncode else "")


def _ending(text: str) -> str:
    found = re.search(r"\[exit code (\d+)\]\n$", text)
    return found[1] if found else "0"
