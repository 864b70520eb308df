"""Orders: decisions about jobs, one file each; an order stands until another lifts it by its id."""

import getpass
import json
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import Field

from orchestrator.config.section import Section
from orchestrator.jobs.files import publish, to_json
from orchestrator.jobs.layout import Root

SCHEMA = 1


class Order(Section):
    """Who decided what about which jobs, and why."""

    schema_version: int = SCHEMA
    id: str = Field(default_factory=lambda: uuid.uuid4().hex)
    time: float = Field(default_factory=time.time)
    who: str = Field(default_factory=getpass.getuser)
    what: Literal["cancel", "lift"]
    jobs: list[str]
    lifts: list[str] = Field(default_factory=list)
    """Ids of the orders that this one ends, for its jobs."""
    why: str = ""


Standing = Mapping[str, tuple[Order, ...]]
"""The orders that stand, by job."""


def write_order(root: Root, order: Order) -> None:
    """Publish an order; it needs no lease."""
    publish(
        root.orders / f"{int(order.time * 1000):015d}-{order.id}.json", to_json(order.to_plain())
    )


def read_orders(root: Root) -> list[Order]:
    """Every order, oldest first."""
    paths = sorted(root.orders.glob("[0-9]*.json"))
    return [Order.from_plain(json.loads(path.read_bytes())) for path in paths]


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
