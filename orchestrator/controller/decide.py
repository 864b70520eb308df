"""Decisions about jobs of one look, as orders: to free, to hold, to begin afresh."""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from orchestrator.controller.survey import Survey
from orchestrator.jobs.layout import Root
from orchestrator.jobs.orders import Order, write_order
from orchestrator.jobs.state import UNDER_WAY, State


def free(
    root: Root, found: Survey, jobs: Collection[str], why: str, *, whole: bool = False
) -> bool:
    """Lift what keeps the jobs from being started, and renew what they were given up for.

    That a search stopped them is lifted only if they are to be trained ``whole``. Returns whether
    there was anything to decide: then ``found`` is no longer true.
    """
    standing = found.standing
    stops = {order.id for orders in standing.stops.values() for order in orders if not whole}
    keeping = ((job, [o for o in standing.keeps(job) if o.id not in stops]) for job in jobs)
    kept = {job: orders for job, orders in keeping if orders}
    if kept:
        lifted = sorted({order.id for orders in kept.values() for order in orders})
        write_order(root, Order(what="lift", jobs=sorted(kept), lifts=lifted, why=why))
    held = standing.holds  # what was withdrawn for it may be told as cancelled later
    spent = sorted(job for job in jobs if job in held or _is_left_to_people(found, job))
    if spent:
        write_order(root, Order(what="retry", jobs=spent, tokens=_tokens(found, spent), why=why))
    return bool(kept or spent)


def hold(
    root: Root, jobs: Collection[str], why: str, behind: Mapping[str, int] = MappingProxyType({})
) -> None:
    """Let the jobs not be started.

    With ``behind``, jobs and their last attempts, only until those have got on in a later one.
    """
    order = Order(what="hold", jobs=sorted(jobs), why=why, behind=sorted(behind), last=dict(behind))
    write_order(root, order)


def begin_afresh(root: Root, found: Survey, jobs: Collection[str]) -> None:
    """Discard what the jobs have measured and saved so far; they are then as new."""
    last = {job: max((a.number for a in found.facts[job].attempts), default=0) for job in jobs}
    tokens = _tokens(found, jobs)
    write_order(root, Order(what="afresh", jobs=sorted(jobs), tokens=tokens, last=last))


def lift(root: Root, orders: Sequence[Order], why: str) -> None:
    """End these orders for all their jobs."""
    jobs = sorted({job for order in orders for job in order.jobs})
    write_order(root, Order(what="lift", jobs=jobs, lifts=[one.id for one in orders], why=why))


def can_begin_afresh(found: Survey, job: str) -> bool:
    """Whether a job has something to discard, and nobody may be at it."""
    facts = found.facts[job]
    something = bool(facts.fault) or any(not one.discarded for one in facts.attempts)
    return something and not may_be_under_way(found, job)


def may_be_under_way(found: Survey, job: str) -> bool:
    """Whether a job runs or waits, or its place does not say that it does not."""
    state, whole = found.statuses[job].state, not found.facts[job].fault
    return state in UNDER_WAY or (state is State.UNKNOWN and whole)


def _is_left_to_people(found: Survey, job: str) -> bool:
    status = found.statuses[job]
    return status.state in (State.STOPPED, State.CANCELLED) or status.given_up


def _tokens(found: Survey, jobs: Collection[str]) -> list[str]:
    """Of every submission that has one of the jobs."""
    return sorted({member.token for job in jobs for member in found.facts[job].members})
