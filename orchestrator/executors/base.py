"""The contract between the controller and a place that runs submissions."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from orchestrator.jobs.evidence import Sightings
from orchestrator.jobs.submissions import Submission


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at a place: what it said of its members, and in what it could not be asked.

    A member that a broken answer leaves open is not in ``seen``; one that a complete answer lacks
    is there as ABSENT.
    """

    seen: Sightings
    troubles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Admission:
    """What a place takes now, cut to its measure, and why it is not all, in words; or nothing."""

    now: tuple[Submission, ...]
    why: str = ""


class Executor(Protocol):
    """A place: this machine, a cluster. It holds no state but what its files and programs do."""

    @property
    def interval_s(self) -> float:
        """How long whoever watches leaves it in peace between two looks."""
        ...

    def check(self, submission: Submission) -> list[str]:
        """Why the place would refuse this shape; empty when it would not. Writes nothing."""
        ...

    def admit(
        self, submissions: Sequence[Submission], *, under_way: int, reserved: int, gpus: int
    ) -> Admission:
        """What of these the place takes now; the rest is for a later round.

        Args:
            submissions: of one sweep, with the sweep's ``max_parallel``.
            under_way: how many of the sweep's jobs its earlier submissions may run at once.
            reserved: places in the queue to leave free.
            gpus: how many the root's jobs ask for already, where the cluster's profile sets a
                limit to them.

        Raises:
            Unclear: it could not be asked how much it takes.
        """
        ...

    def render(self, submission: Submission) -> str:
        """The very text that ``submit`` hands over. Pure."""
        ...

    def submit(self, submission: Submission) -> str:
        """Hand it over, after its intent was written; returns the handle once it is taken.

        Raises:
            Refused: the place said no; nothing was submitted.
            Full: it takes no more for now; nothing was submitted.
            Unclear: it did not answer; ``find`` settles it.
        """
        ...

    def find(self, tokens: Collection[str]) -> dict[str, str]:
        """Handles of those submissions that the place has, by token.

        Raises:
            Unclear: it did not answer, or only in part.
        """
        ...

    def observe(self, submissions: Sequence[Submission]) -> Observation:
        """One look at all members."""
        ...

    def cancel(self, members: Collection[tuple[str, int]]) -> list[str]:
        """Ask these members, by token and index, to stop; a standing order says why.

        Returns what cannot be reached from this machine, in sentences.

        Raises:
            Unclear: it was not heard; asking again is harmless.
        """
        ...

    def member_handle(self, handle: str, token: str, index: int) -> str:
        """The place's own name for a member of submission ``token``, which it calls ``handle``."""
        ...
