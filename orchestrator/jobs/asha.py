"""Asynchronous successive halving: which jobs are to end at which rung; a function of plain values.

A rung is an epoch at whose end jobs are judged. A job is judged once, when it has measured its
metric there, beside those that measured theirs before it: it goes on if it is among the best
1/reduction of them, itself included. What comes later changes nothing for it. So the outcome
follows from what journals say, whenever somebody looks, and however often.
"""

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite

from orchestrator.config.search import Asha
from orchestrator.jobs.directions import LOW, direction


@dataclass(frozen=True, slots=True)
class Reached:
    """What a job measured at the end of an epoch, and when: UTC epoch seconds, by its own clock."""

    value: float
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a rung says of a job: ``rank`` among the ``of`` that have come so far, from 1."""

    job: str
    rung: int
    """Its number, from 1."""
    epoch: int
    value: float
    rank: int
    of: int
    places: int
    """So many of these go on; equals share a rank, and go on or end together. What is no number
    comes after all that came before it."""

    @property
    def goes_on(self) -> bool:
        return self.rank <= self.places


def rungs(asha: Asha, epochs: int) -> tuple[int, ...]:
    """The epochs after which jobs are judged that train for so many: grace * reduction^k."""
    found = []
    at = asha.grace
    while at < epochs:
        found.append(at)
        at *= asha.reduction
    return tuple(found)


def places(jobs: int, reduction: int) -> int:
    """How many of so many jobs go on; one at least."""
    return -(-jobs // reduction)


def judged(
    asha: Asha,
    rungs: Sequence[int],
    reached: Mapping[str, Mapping[int, Reached]],
    ended: Mapping[str, int],
) -> list[Verdict]:
    """The verdict of every rung on every job that has come to it, in the order in which they came.

    A job that fell at a rung is not of those that come to a later one, however far it was trained
    since: because nobody looked in time, or because a person wanted it whole.

    Args:
        asha: the rule.
        rungs: epochs, rising.
        reached: by job, by epoch, what it measured there.
        ended: by job, the epoch of the rung at which it was decided before that it ends. That
            stands, whatever has come to be known since of others.
    """
    better = direction(asha.metric)
    fallen = dict(ended)
    verdicts = []
    for number, epoch in enumerate(rungs, 1):
        came = sorted(
            (at[epoch].time, job)
            for job, at in reached.items()
            if epoch in at and fallen.get(job, epoch) >= epoch
        )
        costs: list[float] = []
        for _, job in came:
            value = reached[job][epoch].value
            cost = (value if better == LOW else -value) if isfinite(value) else inf
            before = bisect_left(costs, cost) if isfinite(value) else len(costs)
            insort(costs, cost)
            one = Verdict(
                job=job,
                rung=number,
                epoch=epoch,
                value=value,
                rank=1 + before,
                of=len(costs),
                places=places(len(costs), asha.reduction),
            )
            verdicts.append(one)
            if not one.goes_on:
                fallen.setdefault(job, epoch)
    return verdicts
