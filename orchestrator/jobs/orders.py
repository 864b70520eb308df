"""Orders: decisions about jobs, one file each; an order stands until another lifts it by its id."""

import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field

from orchestrator.config.section import Section
from orchestrator.jobs.files import checked, publish, read_record, refuse_newer, to_json
from orchestrator.jobs.layout import Root
from orchestrator.jobs.processes import user_name

SCHEMA = 1
Kind = Literal["cancel", "lift"]


class Order(Section):
    """Who decided what about which jobs, and why."""

    schema_version: int = SCHEMA
    id: str = Field(default_factory=lambda: uuid.uuid4().hex)
    time: float = Field(default_factory=time.time)
    who: str = Field(default_factory=user_name)
    what: Kind
    jobs: list[str]
    lifts: list[str] = Field(default_factory=list)
    """Ids of the orders that this one ends, for its jobs."""
    why: str = ""


Standing = Mapping[str, tuple[Order, ...]]
"""The orders that stand, by job."""


def write_order(root: Root, order: Order) -> None:
    """Publish an order; it needs no lease."""
    publish(root.orders / file_name(order), to_json(order.to_plain()))


def file_name(order: Order) -> str:
    """By which orders are sorted in time."""
    return f"{int(order.time * 1000):015d}-{order.id}.json"


def read_orders(root: Root) -> list[Order]:
    """Every order of a known kind, oldest first.

    A kind that this program does not know is not its to obey: a pool may be older than the verb.

    Raises:
        RootError: an order is damaged; to pass over it might revive what was cancelled.
    """
    found = (_read_order(path) for path in sorted(root.orders.glob("[0-9]*.json")))
    return [order for order in found if order is not None]


def _read_order(path: Path) -> Order | None:
    return order_of(read_record(path), path)


def order_of(plain: dict[str, Any], path: Path) -> Order | None:
    """The order that a record at ``path`` holds; None for one of an unknown kind.

    Raises:
        RootError: it is damaged, or of a newer version.
    """
    if plain.get("what", "cancel") not in get_args(Kind):
        return None
    refuse_newer(path, plain.get("schema_version"), SCHEMA)
    return checked(Order, plain, path)


def standing_orders(orders: Iterable[Order]) -> Standing:
    """The cancel orders that no order lifted, by job."""
    orders = list(orders)
    lifted = {(job, gone) for order in orders for gone in order.lifts for job in order.jobs}
    standing: dict[str, tuple[Order, ...]] = {}
    for order in orders:
        for job in order.jobs:
            if order.what == "cancel" and (job, order.id) not in lifted:
                standing[job] = (*standing.get(job, ()), order)
    return standing
