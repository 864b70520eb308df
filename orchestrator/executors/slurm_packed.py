"""What is known of members that share allocations: a pure function of marks, records and rows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from orchestrator.executors.pool_log import Pools
from orchestrator.jobs.evidence import LATE_S, Sight, Sighting
from orchestrator.jobs.facts import End

NEAREST = (Sight.RUNNING, Sight.WAITING, Sight.ABSENT, Sight.ENDED)
"""Of several allocations that may start a member, which one speaks for it."""


@dataclass(frozen=True, slots=True)
class Packed:
    """One submission whose members share allocations of the array ``array``.

    ``taken``: which allocation has which member. ``allocations``: those of which SLURM spoke.
    """

    array: str
    taken: Mapping[int, int]
    pools: Pools
    allocations: Mapping[int, Sighting]
    count: int
    """How many allocations there are."""

    def sighting(self, index: int) -> Sighting | None:
        """A member as its allocation and its pool tell; None where they cannot speak of it."""
        if (end := self.pools.ended.get(index)) is not None:
            return Sighting(Sight.ENDED, end)
        number = self.taken.get(index, self._nearest())
        seen = None if number is None else self.allocations.get(number)
        if number is None or seen is None:
            return None
        if seen.sight is Sight.RUNNING:
            return self._in_running(index, number, seen)
        if seen.end is not None:
            return self._in_ended(index, number, seen, seen.end)
        return seen

    def _nearest(self) -> int | None:
        """The allocation that speaks for members that none has taken yet.

        While one cannot speak, only one that may start them does.
        """
        known = sorted(self.allocations.items(), key=lambda one: NEAREST.index(one[1].sight))
        if not known:
            return None
        number, seen = known[0]
        if seen.sight is Sight.ENDED:
            number = next((n for n, one in known if self._failed_at_once(n, one)), number)
        alive = seen.sight in (Sight.RUNNING, Sight.WAITING)
        return number if alive or len(known) == self.count else None

    def _in_running(self, index: int, number: int, seen: Sighting) -> Sighting:
        """It runs if this start of the allocation has started it; else its turn is to come."""
        start = self.pools.started.get(index)
        if start is not None and seen.restart in (None, start[1]):
            return seen
        return replace(
            seen, sight=Sight.WAITING, detail=f"waits for a free place in {self._name(number)}"
        )

    def _in_ended(self, index: int, number: int, seen: Sighting, end: End) -> Sighting | None:
        """It ended with its allocation: that was its place, and not its own doing.

        But for one that failed before it could start any. A pool that left in order has recorded
        every end; those that it seems to lack are only not visible here yet.
        """
        in_order = end.exit_code == 0 and not (end.by_place or end.cancelled or end.kind)
        if in_order and seen.asked - end.time < LATE_S:
            return None
        started = index in self.pools.started
        if self._failed_at_once(number, seen):
            return seen
        words = end.detail or f"exit code {end.exit_code}"
        how = replace(
            end,
            started=started,
            by_place=not (end.cancelled or (started and end.kind)),
            signal=None,
            detail=f"its allocation {self._name(number)} ended: {words}",
        )
        return replace(seen, end=how)

    def _failed_at_once(self, number: int, seen: Sighting) -> bool:
        """Whether an allocation failed by its own doing without having started any member."""
        end = seen.end
        if end is None or end.by_place or end.cancelled or end.exit_code == 0:
            return False
        return end.started and number not in {start[0] for start in self.pools.started.values()}

    def _name(self, number: int) -> str:
        return f"{self.array}_{number}"
