"""How far jobs are, all together and by axis, and which of them matter most; plain values."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from orchestrator.controller.axes import by_axis
from orchestrator.controller.status import Row
from orchestrator.jobs.state import State

PHASES = {
    State.DONE: "done",
    State.RUNNING: "running",
    State.QUEUED: "waiting",
    State.PREEMPTED: "waiting",
    State.PLANNED: "waiting",
    State.FAILED: "failed",
    State.UNKNOWN: "unknown",
    State.STOPPED: "stopped",
    State.CANCELLED: "cancelled",
}
"""What a person asks of many jobs, by their states."""
URGENCY = (
    *(State.FAILED, State.UNKNOWN, State.RUNNING, State.PREEMPTED),
    *(State.QUEUED, State.PLANNED, State.CANCELLED, State.STOPPED, State.DONE),
)
"""States in the order in which one wants to see their jobs."""
TROUBLED = (State.FAILED, State.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far some jobs are."""

    counts: Mapping[State, int]
    epochs: int
    """Trained by all of them together."""
    asked: int
    """Epochs that they have together."""
    share: float
    """Of the work, from 0 to 1: one that is done, or was stopped, counts in full wherever it is."""

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Self:
        asked = sum(row.epochs for row in rows)
        trained = sum(min(row.epoch, row.epochs) for row in rows)
        over = (State.DONE, State.STOPPED)
        full = sum(row.epochs if row.state in over else row.epoch for row in rows)
        done = sum(row.state in over for row in rows)
        share = full / asked if asked else done / max(1, len(rows))
        counts = Counter(row.state for row in rows)
        return cls(counts=counts, epochs=trained, asked=asked, share=min(1.0, share))

    @property
    def jobs(self) -> int:
        return sum(self.counts.values())

    @property
    def phases(self) -> Mapping[str, int]:
        """Jobs by phase."""
        told: Counter[str] = Counter()
        for state, count in self.counts.items():
            told[PHASES[state]] += count
        return told


@dataclass(frozen=True, slots=True)
class AxisProgress:
    """How far the jobs are that have one value on one axis."""

    axis: str
    value: str
    progress: Progress


def progress_by_axis(
    rows: Iterable[Row], axes: Mapping[str, Mapping[str, Any] | None]
) -> list[AxisProgress]:
    """Every value of the axes on which the jobs differ; ``axes``: by job, its place on them."""
    placed = ((axes.get(row.id) or {}, row) for row in rows)
    return [AxisProgress(axis, value, Progress.of(some)) for axis, value, some in by_axis(placed)]


def most_urgent(rows: Sequence[Row], most: int) -> list[Row]:
    """At most so many, in the order of ``URGENCY``; all of them, if they are no more, as they come.

    What failed gets no more than half of the places that others need too.
    """
    if len(rows) <= most:
        return list(rows)
    ranked = sorted(rows, key=lambda row: URGENCY.index(row.state))
    troubled = [row for row in ranked if row.state in TROUBLED]
    others = ranked[len(troubled) :]
    running = sum(row.state is State.RUNNING for row in others)
    taken = min(len(troubled), max((most + 1) // 2, most - running))
    return [*troubled[:taken], *others[: most - taken]]
