"""A shell in a real terminal of a certain size, for tests: tmux draws it, and says what is seen."""

import shlex
import shutil
import subprocess
import uuid
from typing import Self

import pytest

from support.pool_bench import Bench, until

PROMPT = "ready> "


class Tmux:
    """A context: a server of its own with one shell; nothing of the user's is read."""

    def __init__(self, bench: Bench, columns: int, lines: int) -> None:
        if shutil.which("tmux") is None:
            pytest.fail("tmux is not installed here: apt-get install tmux", pytrace=False)
        self._name = f"test-{uuid.uuid4().hex[:8]}"
        self._size = ("-x", str(columns), "-y", str(lines))
        given = {**bench.environment, "PS1": PROMPT, "LC_ALL": "C.UTF-8"}
        told = [f"{name}={value}" for name, value in given.items()]
        self._shell = shlex.join(["env", *told, "bash", "--norc", "--noprofile", "-i"])

    def __enter__(self) -> Self:
        self._tmux("-f", "/dev/null", "-u", "new-session", "-d", *self._size, self._shell)
        until(lambda: PROMPT.strip() in self.seen()[0])
        return self

    def __exit__(self, *_: object) -> None:
        self._tmux("kill-server")

    def seen(self) -> list[str]:
        """The lines of the screen now."""
        return self._tmux("capture-pane", "-p", "-N").split("\n")[:-1]

    def scrolled(self) -> str:
        """The screen and all that went off it."""
        return self._tmux("capture-pane", "-p", "-S", "-")

    def type(self, *keys: str) -> None:
        self._tmux("send-keys", *keys)

    def resize(self, columns: int, lines: int) -> None:
        self._tmux("resize-window", "-x", str(columns), "-y", str(lines))

    def flag(self, name: str) -> str:
        """What tmux says of the terminal, such as ``cursor_flag``."""
        return self._tmux("display-message", "-p", f"#{{{name}}}").strip()

    def _tmux(self, *words: str) -> str:
        made = subprocess.run(
            ["tmux", "-L", self._name, *words], capture_output=True, text=True, check=True
        )
        return made.stdout
