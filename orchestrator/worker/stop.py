"""Being asked to stop: signals set a flag, nothing more; ranks agree on it at a step."""

import signal
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGUSR2)


class StopFlag:
    """Whether this process was asked to stop, and by which signal."""

    def __init__(self) -> None:
        self.signal: str | None = None

    def listen(self) -> None:
        """Take note of the stop signals from now on."""
        for number in SIGNALS:
            signal.signal(number, self._note)

    def __bool__(self) -> bool:
        return self.signal is not None

    def _note(self, number: int, _: FrameType | None) -> None:
        self.signal = signal.Signals(number).name


class Stopped(Exception):  # noqa: N818 - not an error: the worker did as it was asked
    """The ranks agreed to stop; a checkpoint was published."""
