"""A command on a pseudo terminal, for tests."""

import os
import pty
import select
import sys

from support.pool_bench import Bench, until

_ENDED = os.WEXITED | os.WNOHANG | os.WNOWAIT


class Terminal:
    """A command on a pseudo terminal."""

    def __init__(self, bench: Bench, *words: str, columns: int = 80) -> None:
        self.shown = ""
        self.pid, self.end = pty.fork()
        if self.pid == 0:
            size = {"COLUMNS": str(columns), "LINES": "24", "TERM": "xterm-256color"}
            command = [sys.executable, "-m", "orchestrator.cli", *words]
            environment = {**os.environ, **bench.environment, **size}
            os.execve(sys.executable, command, environment)  # noqa: S606 - a list, no shell

    def read(self) -> str:
        """Everything shown so far."""
        while select.select([self.end], [], [], 0.1)[0]:
            try:
                self.shown += os.read(self.end, 65536).decode()
            except OSError:
                break
        return self.shown

    def type(self, text: str) -> None:
        os.write(self.end, text.encode())

    def exit_code(self) -> int:
        until(lambda: self.read() is None or os.waitid(os.P_PID, self.pid, _ENDED), 20)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
