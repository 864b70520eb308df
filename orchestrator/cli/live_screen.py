"""A full screen that is drawn again only where it changed, and left as it was found."""

import os
import signal
import sys
import termios
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any, Self

from rich.console import Console
from rich.text import Text

Draw = Callable[[int, int], Sequence[Text]]
"""The lines of a screen of so many columns and lines."""

ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
"""The terminal's second screen, without a cursor, without wrapping, empty."""
LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"


def is_live(console: Console) -> bool:
    """Whether a screen can be drawn there: a terminal that can move its cursor."""
    return console.file.isatty() and not console.is_dumb_terminal


def changes(before: Sequence[str], after: Sequence[str]) -> str:
    """What a terminal has to be told, line by line; all of it where nothing was there before."""
    return "".join(
        f"\x1b[{number};1H{line}"
        for number, line in enumerate(after, 1)
        if number > len(before) or line != before[number - 1]
    )


class LiveScreen:
    """A screen for as long as the block lasts; then the last state stays in the scrollback.

    What is typed is not shown meanwhile, Ctrl-C interrupts as ever, Ctrl-Z stops, and a new size is
    heeded at once.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._draw: Draw = lambda _width, _height: []
        self._lines: list[str] = []
        self._size = (0, 0)
        self._painting = self._taken = False
        self._terminal = sys.stdout.fileno()
        self._modes: list[Any] | None = None
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._handlers = {signal.SIGWINCH: self._resized, signal.SIGTSTP: self._stopped}
        self._handlers[signal.SIGTERM] = _end
        self._swap_handlers()
        return self

    def __exit__(self, *_: object) -> None:
        self._swap_handlers()
        if not self._taken:
            return
        self._give_back()
        width, height = self._console.size = self._size_now()
        last = [*self._draw(width, height)]
        while last and not last[-1].plain.strip():
            last.pop()
        for line in last:
            self._console.print(line, no_wrap=True, overflow="crop")

    def show(self, draw: Draw) -> None:
        """Show this from now on; the terminal is taken when there is something to show."""
        self._draw = draw
        if not self._taken:
            self._take()
        self._paint()

    def _paint(self) -> None:
        """Bring the screen up to date, line by line, in one piece."""
        self._painting = True
        again = True
        while again:
            size = width, height = self._console.size = self._size_now()
            if size != self._size:
                self._size, self._lines = size, []
            told = self._draw(width, height)[:height]
            lines = [self._ansi(line, width) for line in [*told, *[Text()] * (height - len(told))]]
            self._write(changes(self._lines, lines))
            self._lines = lines
            again = self._size_now() != size
        self._painting = False

    def _size_now(self) -> tuple[int, int]:
        """Columns and lines; $COLUMNS and $LINES are of when the program started."""
        columns, lines = os.get_terminal_size(self._terminal)
        return (columns, lines) if columns and lines else self._console.size

    def _ansi(self, line: Text, width: int) -> str:
        """With blanks to the edge: clearing a line that is full would clear its last cell."""
        line = line.copy()
        line.pad_right(max(0, width - line.cell_len))
        with self._console.capture() as captured:
            self._console.print(line, end="", no_wrap=True, overflow="crop")
        return captured.get().rstrip("\n")

    def _write(self, text: str) -> None:
        if text:
            sys.stdout.write(text)
            sys.stdout.flush()

    def _take(self) -> None:
        with suppress(termios.error):
            modes = termios.tcgetattr(self._terminal)
            self._modes = [*modes]
            modes[3] &= ~(termios.ECHO | termios.ICANON)
            termios.tcsetattr(self._terminal, termios.TCSADRAIN, modes)
        self._write(ENTER)
        self._lines, self._taken = [], True

    def _give_back(self) -> None:
        self._write(LEAVE)
        if self._modes is not None:
            # What was typed meanwhile is no command for the shell.
            termios.tcsetattr(self._terminal, termios.TCSAFLUSH, self._modes)

    def _swap_handlers(self) -> None:
        self._handlers = {
            number: signal.signal(number, handler) for number, handler in self._handlers.items()
        }

    def _resized(self, *_: object) -> None:
        if self._taken and not self._painting:
            self._paint()

    def _stopped(self, *_: object) -> None:
        """Stop as asked to, and come back when the shell says so."""
        if self._taken:
            self._give_back()
        handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, handler)
        if self._taken:
            self._take()
            self._paint()


def _end(number: int, _: FrameType | None) -> None:
    """End in order, so that the terminal is given back; a shell's code for this signal."""
    raise SystemExit(128 + number)
