"""What a program printed last: often why it ended."""

from pathlib import Path

TAIL_BYTES = 8192


def last_line(path: Path, limit: int = 400) -> str:
    """The last line of a log that says something; nothing if there is no log."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - TAIL_BYTES))
            text = log.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][-limit:] if lines else ""
