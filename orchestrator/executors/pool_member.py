"""A member of a pool that runs: its ranks, and how long they may take to end."""

import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from orchestrator.executors.last_words import last_line
from orchestrator.executors.pool_lines import Seat
from orchestrator.jobs.facts import STOP_CODES, End, read_attempts
from orchestrator.jobs.layout import Root
from orchestrator.jobs.submissions import Submission

LEAVE_S = 20.0
"""How long the other ranks may go on after one failed, and after they were asked to stop."""
AGAIN_S = 10.0
"""Between two times that ranks are told of their pool's end."""
GRACE_S = 60.0
"""How long a member may take to stop when it was asked to."""
NEAT = (0, *STOP_CODES.values())


class Rank(Protocol):
    """A rank's process, as ``subprocess.Popen`` shows one."""

    @property
    def returncode(self) -> int | None: ...

    def poll(self) -> int | None: ...

    def send_signal(self, sig: int) -> None: ...


@dataclass
class Running:
    """A member whose ranks were started."""

    index: int
    ranks: Sequence[Rank]
    seat: Seat
    first_exit: tuple[int, int] | None = None
    """(rank, return code) of the first rank that failed."""
    asked_at: float | None = None
    told_at: float | None = None
    leave_at: float | None = None

    def reap(self, now: float) -> bool:
        """Take note of ranks that ended; True when all have.

        After rank 0 ended well nothing that befalls the others is a failure: those still there
        wait for a claim that does not come, and are ended.
        """
        codes = {rank: ended.poll() for rank, ended in enumerate(self.ranks)}
        if self.leave_at is None:
            bad = [(r, code) for r, code in codes.items() if code is not None and code not in NEAT]
            if bad:  # who was killed comes first: the others fell over its silence
                self.first_exit = min(bad, key=lambda one: one[1] > 0)
            if bad or codes[0] is not None:
                self.leave_at = now + LEAVE_S
        return None not in codes.values()

    def ask(self, now: float) -> None:
        """Ask every rank to stop; asking again is harmless."""
        self.asked_at = self.asked_at or now
        self.pass_on(signal.SIGTERM)

    def tell(self, number: signal.Signals, now: float) -> None:
        """Pass a stop signal on, and after a while once more: a rank may have been too young.

        One that comes while a rank leaves by itself would end it.
        """
        if self.told_at is None or now > self.told_at + AGAIN_S:
            self.told_at = now
            self.pass_on(number)

    def hurry(self, now: float) -> None:
        """End ranks that are left over, or did not stop when asked."""
        if self.leave_at and now > self.leave_at:
            self.pass_on(signal.SIGKILL if now > self.leave_at + LEAVE_S else signal.SIGTERM)
        if self.asked_at and now > self.asked_at + GRACE_S:
            self.pass_on(signal.SIGKILL)

    def pass_on(self, number: signal.Signals) -> None:
        """Signal every rank that is left."""
        for rank in self.ranks:
            if rank.poll() is None:
                rank.send_signal(number)


def end_of(member: Running, root: Root, submission: Submission) -> End:
    """How a member ended of which all ranks have."""
    rank, code = member.first_exit or (0, member.ranks[0].returncode or 0)
    return End(
        time.time(),
        started=True,
        by_place=member.asked_at is not None and code != 0,
        exit_code=code if code >= 0 else None,
        signal=-code if code < 0 else None,
        rank=rank,
        detail=_last_words(root, submission, member.index, rank) if member.first_exit else "",
    )


def _last_words(root: Root, submission: Submission, index: int, rank: int) -> str:
    """The last line of a rank: in its attempt's log, or before it claimed the job.

    Nothing where that cannot be read now: how a member ended has to be told all the same.
    """
    with suppress(OSError):
        return _told(root, submission, index, rank)
    return ""


def _told(root: Root, submission: Submission, index: int, rank: int) -> str:
    folder = root.job(submission.jobs[index])
    logs = [
        folder.attempt(attempt.number).log(rank)
        for attempt in read_attempts(folder)
        if (attempt.start.token, attempt.start.index) == (submission.token, index)
    ]
    logs = [*reversed(logs), root.submission(submission.token).member_log(index, rank)]
    return next((words for log in logs if (words := last_line(log))), "")
