"""The contract between the controller and a place that runs submissions."""

from collections.abc import Collection, Sequence
from typing import Protocol

from orchestrator.jobs.state import Sightings
from orchestrator.jobs.submissions import Submission


class Executor(Protocol):
    """A place: this machine, a cluster. It holds no state but what its files and programs do."""

    def check(self, submission: Submission) -> list[str]:
        """Why the place would refuse this shape; empty when it would not. Writes nothing."""
        ...

    def render(self, submission: Submission) -> str:
        """The very text that ``submit`` hands over. Pure."""
        ...

    def submit(self, submission: Submission) -> str:
        """Hand it over, after its intent was written; returns the handle once it is taken.

        Raises:
            Refused: the place said no; nothing was submitted.
            Unclear: it did not answer; ``find`` settles it.
        """
        ...

    def find(self, tokens: Collection[str]) -> dict[str, str]:
        """Handles of those submissions that the place has, by token."""
        ...

    def observe(self, submissions: Sequence[Submission]) -> Sightings:
        """One look at all members; those the place could not speak for are left out."""
        ...

    def cancel(self, members: Collection[tuple[str, int]]) -> None:
        """Ask these members, by token and index, to stop; a standing order says why."""
        ...
