"""Decisions about jobs of one look, as orders: to free, to hold, to begin afresh."""

from collections.abc import Collection, Sequence

from orchestrator.controller.survey import Survey
from orchestrator.jobs.layout import Root
from orchestrator.jobs.orders import Order, write_order
from orchestrator.jobs.state import State


def free(root: Root, found: Survey, jobs: Collection[str], why: str) -> bool:
    """Lift what keeps the jobs from being started, and renew what they were given up for.

    Returns whether there was anything to decide: then ``found`` is no longer true.
    """
    kept = {job: orders for job in jobs if (orders := found.standing.keeps(job))}
    if kept:
        lifted = sorted({order.id for orders in kept.values() for order in orders})
        write_order(root, Order(what="lift", jobs=sorted(kept), lifts=lifted, why=why))
    spent = sorted(job for job in jobs if _is_left_to_people(found, job))
    if spent:
        write_order(root, Order(what="retry", jobs=spent, tokens=_tokens(found, spent), why=why))
    return bool(kept or spent)


def hold(root: Root, jobs: Collection[str], why: str, behind: Collection[str] = ()) -> None:
    """Let the jobs not be started; with ``behind`` only until those have got somewhere."""
    write_order(root, Order(what="hold", jobs=sorted(jobs), why=why, behind=sorted(behind)))


def begin_afresh(root: Root, found: Survey, jobs: Collection[str]) -> None:
    """Discard what the jobs have measured and saved so far; they are then as new."""
    last = {job: max((a.number for a in found.facts[job].attempts), default=0) for job in jobs}
    tokens = _tokens(found, jobs)
    write_order(root, Order(what="afresh", jobs=sorted(jobs), tokens=tokens, last=last))


def lift(root: Root, orders: Sequence[Order], why: str) -> None:
    """End these orders for all their jobs."""
    jobs = sorted({job for order in orders for job in order.jobs})
    write_order(root, Order(what="lift", jobs=jobs, lifts=[one.id for one in orders], why=why))


def _is_left_to_people(found: Survey, job: str) -> bool:
    status = found.statuses[job]
    return status.state is State.CANCELLED or status.given_up


def _tokens(found: Survey, jobs: Collection[str]) -> list[str]:
    """Of every submission that has one of the jobs."""
    return sorted({member.token for job in jobs for member in found.facts[job].members})
