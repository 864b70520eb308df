"""Why a start failed, by the precedence of evidence, and how often that is tried again."""

import signal
from dataclasses import dataclass

from orchestrator.jobs.facts import Attempt, End


@dataclass(frozen=True, slots=True)
class Rule:
    """What is done about a class of failures: so many further starts by ``watch``."""

    retries: int
    meaning: str


RULES = {
    "exception": Rule(0, "the worker raised an exception"),
    "memory": Rule(0, "its node ended it for using more memory than it asked for"),
    "killed": Rule(2, "killed with signal 9: out of memory, or by hand"),
    "crashed": Rule(1, "ended by a signal of its own making"),
    "exit": Rule(0, "ended with an exit code and no word"),
    "vanished": Rule(2, "its process is gone and left no record"),
}


@dataclass(frozen=True, slots=True)
class Reason:
    """A class of ``RULES`` and the sentence for the user."""

    kind: str
    text: str


def reason_of(attempt: Attempt | None, end: End | None) -> Reason:
    """Name the failure of a start from what its ranks wrote and what its place saw.

    What the place names itself comes first, then a rank that was killed and could write nothing,
    then the first error that any rank wrote: the other ranks' errors are consequences.
    """
    errors = attempt.errors if attempt is not None else ()
    killed = end.rank if end is not None and end.signal is not None else None
    silenced = killed is not None and killed not in {error.rank for error in errors}
    if end is not None and end.kind:
        return Reason(end.kind, end.detail or RULES[end.kind].meaning)
    if errors and not silenced:
        first = errors[0]
        return Reason("exception", f"{first.exception}: {first.message}")
    if end is None or (end.exit_code is None and end.signal is None):
        return Reason("vanished", RULES["vanished"].meaning)
    if end.signal == signal.SIGKILL:
        return Reason("killed", RULES["killed"].meaning)
    if end.signal is not None:
        return Reason("crashed", f"ended by {_signal_name(end.signal)}")
    return Reason("exit", end.detail or f"ended with exit code {end.exit_code} and no word")


def _signal_name(number: int) -> str:
    """A real-time signal has no name of its own."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
