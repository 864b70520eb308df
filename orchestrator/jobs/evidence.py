"""What is known of a job when its state is asked for: files, orders, one look at the places."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile

from orchestrator.jobs.facts import STOP_CODES, Attempt, End, Ending, JobFacts, Member
from orchestrator.jobs.orders import Order, Standing

LIVE_S = 300.0
"""A heartbeat older than this no longer shows life."""
LATE_S = 60.0
"""So long what a worker wrote last may not be visible here, on a file system shared by machines."""
IN_ORDER = (0, *STOP_CODES.values())
"""Exit codes of a worker that has said how it ended."""


class Sight(StrEnum):
    """What a place says of a member."""

    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"
    ABSENT = "absent"
    """The place answered, and does not know it, or knows it no longer."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One member as its place saw it; ``end`` belongs to ENDED.

    ``asked`` is the file time just before the place was asked; ``restart`` the number of the start
    that it speaks of, where the place counts them; ``detail`` its own words, for people;
    ``expected`` when it expects one that waits to start, UTC epoch seconds.
    """

    sight: Sight
    end: End | None = None
    asked: float = 0.0
    restart: int | None = None
    detail: str = ""
    expected: float | None = None


Sightings = Mapping[tuple[str, int], Sighting]
"""By token and index. A member that is not in it was not covered by a complete answer."""


@dataclass(frozen=True, slots=True)
class SeenStart:
    """A member's newest attempt, if it got that far, and the member's end, if it was seen."""

    attempt: Attempt | None = None
    end: End | None = None

    @property
    def by_place(self) -> bool:
        """Whether the place ended the attempt: by a signal that it obeyed, or the hard way."""
        if self.attempt is None or self.attempt.ending is Ending.STOPPED:
            return self.attempt is not None
        errors = self.attempt.errors
        own = [error for error in errors if not error.of_neighbour]
        told = bool(own) or (self.attempt.ending is not None and not errors)
        return not told and self.end is not None and self.end.by_place

    @property
    def failed(self) -> bool:
        """Whether it ended badly by its own doing; without an attempt: before it claimed."""
        if self.attempt is not None:
            return not self.by_place
        end = self.end
        return end is not None and end.started and not end.by_place and end.exit_code != 0

    def over_since(self, now: float) -> float:
        """When it ended, as far as its place or its files tell; never later than ``now``."""
        if self.end is not None:
            return min(self.end.time, now)
        return min(self.attempt.heartbeat, now) if self.attempt is not None else now


@dataclass(frozen=True, slots=True)
class Evidence:
    """All of it, and what follows for the members and attempts of the job."""

    job: JobFacts
    standing: Standing
    seen: Sightings
    now: float

    def end(self, member: Member) -> End | None:
        sighting = self.seen.get((member.token, member.index))
        return member.end or (sighting.end if sighting else None)

    @property
    def held(self) -> tuple[Order, ...]:
        """The orders that hold it back without ending it."""
        return self.standing.holds.get(self.job.id, ())

    def counts(self, token: str) -> bool:
        """Whether what became of a submission still counts against the job."""
        return token not in self.standing.written_off.get(self.job.id, ())

    def counted(self) -> list[SeenStart]:
        """The starts that count against the job, oldest submission first."""
        return [start for (token, _), start in self.starts().items() if self.counts(token)]

    def starts(self) -> dict[tuple[str, int], SeenStart]:
        """By token and index: every member, and attempts of members that nobody knows."""
        attempts = {(a.start.token, a.start.index): a for a in self.job.attempts}
        ends = {(m.token, m.index): self.end(m) for m in self.job.members}
        return {name: SeenStart(attempts.get(name), ends.get(name)) for name in ends | attempts}

    def sighted(self, sight: Sight) -> list[SeenStart]:
        """What of the members that their places see so is known otherwise."""
        starts = self.starts()
        return [starts[m.token, m.index] for m in self.job.members if self.seen_open(m, sight)]

    def seen_open(self, member: Member, sight: Sight) -> Sighting | None:
        """The sighting of a member that has not ended, if it is of this kind."""
        if member.refused or self.end(member) is not None:
            return None
        seen = self.seen.get((member.token, member.index))
        return seen if seen is not None and seen.sight is sight else None

    def detail(self, sight: Sight) -> str:
        """What a place says in its own words of the members it sees so."""
        words = [s.detail for m in self.job.members if (s := self.seen_open(m, sight))]
        return next((detail for detail in reversed(words) if detail), "")

    def restarted(self, attempt: Attempt) -> bool:
        """Whether its place saw the attempt's member wait or start again after its heartbeat.

        A preempted member waits under its old name; its last start is dead, however young its
        heartbeat.
        """
        seen = self.seen.get((attempt.start.token, attempt.start.index))
        if seen is None or attempt.heartbeat >= seen.asked:
            return False
        return seen.sight is Sight.WAITING or (
            seen.restart is not None and seen.restart > attempt.start.restart
        )

    def last_attempt(self) -> SeenStart:
        """The last attempt, with the end of its member."""
        if not self.job.attempts:
            return SeenStart()
        start = self.job.attempts[-1].start
        return self.starts()[start.token, start.index]

    def lost_places(self) -> int:
        """Members that ended before they claimed the job, and not by an error of their own."""
        return sum(
            start.attempt is None
            and start.end is not None
            and (start.end.by_place or (start.end.started and start.end.exit_code == 0))
            for start in self.counted()
        )

    def refusals(self) -> list[str]:
        """Why the job's newest members were refused, those since the last that was taken.

        That a place was full says nothing of the job, and does not count.
        """
        newest = takewhile(lambda member: member.refused, reversed(self.job.members))
        counted = (member for member in newest if self.counts(member.token))
        return [member.why_refused for member in counted if not member.full]

    def late(self) -> Member | None:
        """A member that left in order on another machine a moment ago, and no file says so yet."""
        starts = self.starts()
        for member in self.job.members:
            end, attempt = self.end(member), starts[member.token, member.index].attempt
            near = not (member.restarts or member.elsewhere)
            if end is None or near or (attempt and attempt.ending):
                continue
            in_order = end.started and not end.by_place and end.exit_code in IN_ORDER
            if (
                in_order
                and not end.kind
                and not end.cancelled
                and abs(self.now - end.time) < LATE_S
            ):
                return member
        return None

    def lacks_room(self) -> str:
        """What its place said, if the newest member was not taken because it was full."""
        members = self.job.members
        return members[-1].why_refused if members and members[-1].full else ""

    def fruitless(self) -> int:
        """How many starts in a row, up to the last, their places ended before they gained any.

        A start that its member's next one followed was ended by its place, too.
        """
        starts = self.starts()

        def in_vain(attempt: Attempt) -> bool:
            newest = starts[attempt.start.token, attempt.start.index]
            by_place = newest.attempt is not attempt or newest.by_place
            return by_place and not self.gained(SeenStart(attempt))

        counted = [a for a in self.job.attempts if self.counts(a.start.token)]
        return len(list(takewhile(in_vain, reversed(counted))))

    def gained(self, start: SeenStart) -> bool:
        """Whether a start left a checkpoint beyond the step from which it went on."""
        mine = start.attempt
        if mine is None or mine.from_step is None:
            return False
        later = (a.from_step for a in self.job.attempts if a.number > mine.number)
        return max((mine.saved, *(step for step in later if step is not None))) > mine.from_step

    def newest_member(self) -> Member | None:
        """The last member that its place did not refuse."""
        return next((m for m in reversed(self.job.members) if not m.refused), None)

    def last_start(self) -> SeenStart:
        """The newest member's, if it failed before it claimed the job; else the last attempt.

        None of it if the job is to begin afresh and has not done so.
        """
        newest = self.newest_member()
        afresh = self.job.id in self.standing.discarded
        if newest is not None and (self.counts(newest.token) or not afresh):
            start = self.starts()[newest.token, newest.index]
            if start.attempt is None and start.failed:
                return start
        last = self.last_attempt()
        return SeenStart() if last.attempt is not None and last.attempt.discarded else last


def is_live(attempt: Attempt, end: End | None, now: float) -> bool:
    """No exit, a recent heartbeat, and no proof of death.

    Proof is an end that its place recorded after the attempt had started, or a process seen gone.
    A place that says it never started it knows nothing of it. (SLURM tells whole seconds.)
    """
    if attempt.ending is not None or now - attempt.heartbeat > LIVE_S:
        return False
    if end is not None and end.started and end.time >= int(attempt.start.time):
        return False
    return attempt.running is not False
