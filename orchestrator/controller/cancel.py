"""The verb cancel: an order first, then the places are asked."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from orchestrator.controller.survey import Survey, store_ends, survey
from orchestrator.documents.declared import NamedJob
from orchestrator.documents.jobs import CancelDocument
from orchestrator.executors import executor_named
from orchestrator.jobs.clock import file_time
from orchestrator.jobs.evidence import Sight
from orchestrator.jobs.facts import End, Member
from orchestrator.jobs.layout import Root
from orchestrator.jobs.lease import leased
from orchestrator.jobs.orders import Order, read_orders, standing_orders, write_order
from orchestrator.jobs.processes import user_name
from orchestrator.jobs.state import UNDER_WAY, State
from orchestrator.jobs.submissions import write_outcomes

CANCEL_S = 120.0
"""A pool kills what was asked to stop after half of this."""
TICK_S = 0.5
logger = logging.getLogger(__name__)
OVER = (State.DONE, State.STOPPED, State.CANCELLED)


def cancellable(root: Root, ids: Sequence[str]) -> list[str]:
    """Those of the jobs that a cancel would change: all that are not done or cancelled already.

    A PLANNED job of a launched sweep is one of them: a ``watch`` would submit it.
    """
    statuses = survey(root, ids).statuses
    return [job for job in ids if statuses[job].state not in OVER]


def cancel(root: Root, ids: Sequence[str], why: str = "") -> list[str]:
    """Order the jobs to be cancelled; they stay so until they are launched again.

    Members of which no place can speak are given up: their end is stored, so that the jobs are
    free. Should one be alive after all, its heartbeat keeps others from its job. Returns what could
    not be reached from this machine, in sentences.

    Raises:
        Unclear: a place was not heard; the order stands.
    """
    write_order(root, Order(what="cancel", jobs=list(ids), why=why))
    found = survey(root, ids)
    members = [m for job in ids for m in found.facts[job].members if m.handle and not m.refused]
    at_work = _at_work(found)
    unreached = _ask(root, [m for m in members if not m.end or (m.token, m.index) in at_work])
    if any(not member.end for member in members):
        with leased(root.lease, "cancel"):
            store_ends(root, found)
            for member in members:
                if not member.end and _is_silent(found, member):
                    _give_up(root, member)
    return unreached


def as_json(jobs: Mapping[str, str], warnings: Sequence[str], *, cancelled: bool) -> CancelDocument:
    """The documented form of ``cancel --json``; ``jobs``: names by id."""
    named: list[NamedJob] = [{"id": job, "name": name} for job, name in jobs.items()]
    return {"schema": 1, "jobs": named, "cancelled": cancelled, "warnings": warnings}


def cancel_again(root: Root, found: Survey) -> None:
    """Ask the places to end what was cancelled or stopped, and to give back what is held."""
    members = [m for job in leaving(found) for m in found.facts[job].members]
    at_work = _at_work(found)
    _ask(root, [m for m in members if _is_busy(found, m) or (m.token, m.index) in at_work])


def being_cancelled(found: Survey) -> list[str]:
    """Those of the jobs that were cancelled and still run or wait."""
    return [
        j for j, s in found.statuses.items() if j in found.standing.cancels and s.state in UNDER_WAY
    ]


def leaving(found: Survey) -> list[str]:
    """Those of the jobs that their places should end, or give back."""
    held = [j for j, s in found.statuses.items() if s.state is State.QUEUED and is_held(found, j)]
    stopped = [j for j in found.standing.stops if j in found.statuses]
    stopped = [j for j in stopped if found.statuses[j].state in UNDER_WAY]
    return list(dict.fromkeys([*being_cancelled(found), *stopped, *held]))


def is_held(found: Survey, job: str) -> bool:
    """Whether an order to hold a job stands, and none to end it."""
    return job in found.standing.holds and not found.standing.ends(job)


def await_cancelled(root: Root, ids: Sequence[str]) -> None:
    """Let jobs that are being cancelled end, for two minutes at most."""
    cancels = standing_orders(read_orders(root)).cancels
    ids = [job for job in ids if job in cancels]
    deadline, told = time.monotonic() + CANCEL_S, False
    while ids and (ending := being_cancelled(survey(root, ids))) and time.monotonic() < deadline:
        if not told:
            logger.warning("waiting: %d job(s) are being cancelled and still end", len(ending))
            told = True
        time.sleep(TICK_S)


def _ask(root: Root, members: Sequence[Member]) -> list[str]:
    unreached = []
    for name in sorted({member.executor for member in members}):
        asked = [(m.token, m.index) for m in members if m.executor == name]
        unreached += executor_named(name, root).cancel(asked)
    return unreached


def _is_busy(found: Survey, member: Member) -> bool:
    """Whether its place says that it runs or waits."""
    seen = found.seen.get((member.token, member.index))
    return seen is not None and seen.sight in (Sight.RUNNING, Sight.WAITING)


def _is_silent(found: Survey, member: Member) -> bool:
    """Whether its place says nothing of it, or that it does not know it."""
    seen = found.seen.get((member.token, member.index))
    return seen is None or seen.sight is Sight.ABSENT


def _at_work(found: Survey) -> set[tuple[str, int]]:
    """The members as which jobs run, even those whose end was stored: they were started again."""
    running = [job for job, status in found.statuses.items() if status.state is State.RUNNING]
    lasts = [found.facts[job].attempts[-1].start for job in running if found.facts[job].attempts]
    return {(last.token, last.index) for last in lasts}


def _give_up(root: Root, member: Member) -> None:
    detail = f"given up by {user_name()}: {member.executor} did not say what became of it"
    end = End(file_time(root.path), started=False, by_place=True, detail=detail)
    folder = root.submission(member.token)
    write_outcomes(folder, [{"index": member.index, **asdict(end)}])
