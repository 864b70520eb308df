"""What a program printed last: often why it ended."""

import re
from pathlib import Path

TAIL_BYTES = 16384
NOTHING = re.compile(r"(?!)")
TRACE = re.compile(
    r"frame #\d+: |Exception raised from |\[\S+:\d+\] \*\*\* |Extension modules: "
    r"|CUDA kernel errors might be |For debugging consider |Search for `cuda|Compile with `TORCH"
    r"|Device-side assert|(Fatal Python error|Current thread|Thread) .*:$"
    r"|File \"[^\"]*\", line \d+ in "
)
"""What torch, glibc and Python print after the line that says why a program ended."""


def last_line(path: Path, limit: int = 400, *, noise: re.Pattern[str] = NOTHING) -> str:
    """The last line of a log that says something and is no ``noise``; nothing if there is none."""
    lines = [line for line in last_lines(path) if not (noise.match(line) or TRACE.match(line))]
    return lines[-1][-limit:] if lines else ""


def last_lines(path: Path) -> list[str]:
    """The last lines of a log, those without words left out; none if there is no log."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - TAIL_BYTES))
            text = log.read().decode(errors="replace")
    except FileNotFoundError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip()]
