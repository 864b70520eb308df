"""A sweep's search carried out: from journals what jobs have reached, from that orders to stop."""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from math import isfinite
from pathlib import Path

from orchestrator.config.search import Asha
from orchestrator.jobs.asha import Reached, Verdict, judged
from orchestrator.jobs.journal import read_journal
from orchestrator.jobs.layout import JobFolder
from orchestrator.jobs.orders import AtRung, Order, Standing


def stop_orders(  # noqa: PLR0913 - what a verdict follows from
    asha: Asha,
    rungs: Sequence[int],
    reached: Mapping[str, Mapping[int, Reached]],
    standing: Standing,
    *,
    going: Mapping[str, int],
    spared: Collection[str] = (),
    sweep: str = "",
) -> list[Order]:
    """The orders to stop that follow and have not been given; one a job.

    A job whose stop a person lifted is judged no more: it goes to its end.

    Args:
        asha: the rule.
        rungs: the epochs after which it judges, rising.
        reached: by job, by epoch, what it measured there first.
        standing: the orders there are.
        going: the jobs that are not over, each with the number of its last attempt.
        spared: jobs that others want whole.
        sweep: whose search it is.
    """
    given = {**standing.released, **standing.stops}
    ended = {job: one.at.epoch for job, orders in given.items() for one in orders[:1] if one.at}
    fell = [one for one in judged(asha, rungs, reached, ended) if not one.goes_on]
    return [
        _order(asha, one, going[one.job], sweep)
        for one in {one.job: one for one in reversed(fell)}.values()  # each at its first rung
        if one.job in going and one.job not in given and one.job not in spared
    ]


def _order(asha: Asha, verdict: Verdict, attempt: int, sweep: str) -> Order:
    at = AtRung(
        sweep=sweep,
        rung=verdict.rung,
        epoch=verdict.epoch,
        metric=asha.metric,
        value=verdict.value if isfinite(verdict.value) else None,
        rank=verdict.rank,
        of=verdict.of,
        places=verdict.places,
    )
    return Order(what="stop", jobs=[verdict.job], last={verdict.job: attempt}, at=at, why=at.words)


def reached_by(folder: JobFolder, metric: str, discarded: int = 0) -> dict[int, Reached]:
    """By complete epochs, what a job measured there first, over all attempts that count.

    An attempt that measures an epoch once more changes nothing: the job was there before.
    """
    found: dict[int, Reached] = {}
    for number in folder.attempt_numbers():
        if number > discarded:
            found = {**_measured_in(folder.attempt(number).journal, metric), **found}
    return found


def _measured_in(journal: Path, metric: str) -> Mapping[int, Reached]:
    try:
        known = journal.stat()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return _read(journal, known.st_ino, known.st_size, metric)


@lru_cache(maxsize=50_000)
def _read(journal: Path, inode: int, size: int, metric: str) -> Mapping[int, Reached]:  # noqa: ARG001
    """What a journal of so many bytes says; it only grows, so a look at one that ended is one."""
    read = read_journal(journal, 0)
    found: dict[int, Reached] = {}
    for point in read.points if read else ():
        if metric in point.metrics:
            found.setdefault(point.epoch, Reached(point.metrics[metric], point.time))
    return found
