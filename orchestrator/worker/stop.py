"""Being asked to stop: signals set a flag, nothing more; ranks agree on it at a step."""

import signal
from collections.abc import Sequence
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGUSR2)


class StopFlag:
    """Whether this process was asked to stop, and by which signals."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def listen(self) -> None:
        """Take note of the stop signals from now on."""
        for number in SIGNALS:
            signal.signal(number, self.note)

    def raised(self) -> list[bool]:
        """Of each of ``SIGNALS``, whether it came."""
        return [number in self._seen for number in SIGNALS]

    def note(self, number: int, _: FrameType | None = None) -> None:
        """Signal handler."""
        self._seen.add(number)


class Stopped(Exception):  # noqa: N818 - not an error: the worker did as it was asked
    """The ranks agreed to stop; a checkpoint was published."""

    def __init__(self, asked: Sequence[bool]) -> None:
        """By the first of ``SIGNALS`` that came to any rank; ``asked`` is what they agreed on."""
        super().__init__()
        self.signal = SIGNALS[list(asked).index(True)].name
