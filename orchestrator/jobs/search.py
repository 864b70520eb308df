"""A sweep's search carried out: from journals what jobs have reached, from that orders to stop."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import Any

from orchestrator.config.search import Asha, Search
from orchestrator.errors import BusyError
from orchestrator.jobs.asha import Reached, Verdict, judged
from orchestrator.jobs.facts import final_attempt, read_attempts
from orchestrator.jobs.files import checked
from orchestrator.jobs.journal import read_journal
from orchestrator.jobs.layout import JobFolder, Root
from orchestrator.jobs.lease import leased
from orchestrator.jobs.orders import (
    AtRung,
    Order,
    Standing,
    read_orders,
    standing_orders,
    write_order,
)
from orchestrator.jobs.store import is_imported, launched_revision


def searching(root: Root, jobs: Collection[str]) -> list[str]:
    """The sweeps launched here that search and have one of these jobs, by name."""
    return [
        revision["name"]
        for revision in _launched(root)
        if revision.get("search") is not None and any(job["id"] in jobs for job in revision["jobs"])
    ]


def decide(root: Root, sweep: str) -> bool:
    """Give the orders that the search of a launched sweep has due; takes the root's lease for it.

    False: somebody else has the lease, and nothing was decided; ask again.
    """
    if not _due(root, sweep):
        return True
    try:
        with leased(root.lease, f"search {sweep}", wait_s=0):
            for order in _due(root, sweep):
                write_order(root, order)
    except BusyError:
        return False
    return True


def _due(root: Root, sweep: str) -> list[Order]:
    return due_stops(root, launched_revision(root, sweep), standing_orders(read_orders(root)))


def due_stops(root: Root, revision: Mapping[str, Any], standing: Standing) -> list[Order]:
    """The orders to stop that follow from the journals of a sweep's jobs and were not given yet.

    A job that another sweep launched here has, which searches nothing, is left to its end.

    Args:
        root: the run root.
        revision: the sweep's newest.
        standing: the orders there are.
    """
    search = revision.get("search")
    if search is None:
        return []
    path, discarded = root.revisions(revision["name"])[-1], standing.discarded
    asha = checked(Search, search, path).asha
    reached = {
        job["id"]: reached_by(root.job(job["id"]), asha.metric, discarded.get(job["id"], 0))
        for job in revision["jobs"]
    }
    fell = fallen(asha, search["rungs"], reached, standing)
    attempts = {job: read_attempts(root.job(job), discarded.get(job, 0)) for job in fell}
    going = {
        job: some[-1].number
        for job, some in attempts.items()
        if some and final_attempt(some) is None
    }
    due = stop_orders(asha, fell, going, revision["name"])
    whole = _wanted_whole(root) if due else set()
    return [order for order in due if not whole & {*order.jobs}]


def _wanted_whole(root: Root) -> set[str]:
    """The jobs that a sweep launched here has which searches nothing."""
    plain = (revision for revision in _launched(root) if revision.get("search") is None)
    return {job["id"] for revision in plain for job in revision["jobs"]}


def _launched(root: Root) -> Iterator[dict[str, Any]]:
    names = (name for name in root.sweep_names() if not is_imported(root, name))
    return (launched_revision(root, name) for name in names)


def fallen(
    asha: Asha,
    rungs: Sequence[int],
    reached: Mapping[str, Mapping[int, Reached]],
    standing: Standing,
) -> dict[str, Verdict]:
    """By job that is to end, and was neither told so nor cancelled, the first rung that says so.

    A job whose stop a person lifted is judged no more: it goes to its end.

    Args:
        asha: the rule.
        rungs: the epochs after which it judges, rising.
        reached: by job, by epoch, what it measured there first.
        standing: the orders there are.
    """
    given = {**standing.released, **standing.stops}
    ended = {job: one.at.epoch for job, orders in given.items() for one in orders[:1] if one.at}
    told = given.keys() | standing.cancels.keys()
    found: dict[str, Verdict] = {}
    for one in judged(asha, rungs, reached, ended):
        if not one.goes_on and one.job not in told:
            found.setdefault(one.job, one)
    return found


def stop_orders(
    asha: Asha, fell: Mapping[str, Verdict], going: Mapping[str, int], sweep: str = ""
) -> list[Order]:
    """An order to stop for each job that fell and is not over.

    Args:
        asha: the rule.
        fell: by job, the verdict.
        going: the jobs that are not over, each with the number of its last attempt.
        sweep: whose search it is.
    """
    return [_order(asha, fell[job], going[job], sweep) for job in fell if job in going]


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
