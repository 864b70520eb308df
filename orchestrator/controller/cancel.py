"""The verb cancel: an order first, then the places are asked."""

from collections.abc import Sequence

from orchestrator.controller.survey import survey
from orchestrator.executors import executor_named
from orchestrator.jobs.layout import Root
from orchestrator.jobs.orders import Order, write_order
from orchestrator.jobs.state import State

OVER = (State.DONE, State.CANCELLED)


def cancellable(root: Root, ids: Sequence[str]) -> list[str]:
    """Those of the jobs that a cancel would change: all that are not done or cancelled already.

    A PLANNED job of a launched sweep is one of them: a ``watch`` would submit it.
    """
    statuses = survey(root, ids).statuses
    return [job for job in ids if statuses[job].state not in OVER]


def cancel(root: Root, ids: Sequence[str], why: str = "") -> None:
    """Order the jobs to be cancelled; they stay so until they are launched again."""
    write_order(root, Order(what="cancel", jobs=list(ids), why=why))
    found = survey(root, ids)
    places: dict[str, list[tuple[str, int]]] = {}
    for job in ids:
        for member in found.facts[job].members:
            if member.handle and not member.end:
                places.setdefault(member.executor, []).append((member.token, member.index))
    for name, members in places.items():
        executor_named(name, root).cancel(members)
