"""Orders: decisions about jobs, one file each; an order stands until another lifts it by its id."""

import time
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field

from orchestrator.config.section import Section
from orchestrator.jobs.files import checked, publish, read_record, refuse_newer, to_json
from orchestrator.jobs.layout import Root
from orchestrator.jobs.processes import user_name

SCHEMA = 1
WHOLE = 32
"""So long is an order's own id; that of a part of it goes on with a hash of the part's jobs."""
Kind = Literal["cancel", "hold", "stop", "retry", "afresh", "lift"]


class AtRung(Section):
    """At which rung a search judged a job, and how: ``rank`` among the ``of`` that had come."""

    sweep: str
    rung: int
    """From 1."""
    epoch: int
    metric: str
    value: float | None
    """Null: it was no number."""
    rank: int
    of: int
    places: int
    """So many went on."""

    @property
    def words(self) -> str:
        value = "no number" if self.value is None else f"{self.value:.4g}"
        return (
            f"rung {self.rung} (epoch {self.epoch}) of {self.sweep}: {self.metric} {value} is "
            f"number {self.rank} of {self.of}, {self.places} go on"
        )


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
    tokens: list[str] = Field(default_factory=list)
    """Of ``retry`` and ``afresh``: submissions whose starts count no more against their jobs."""
    last: dict[str, int] = Field(default_factory=dict)
    """By job, its last attempt at that time. Of ``afresh``: it and those before it are discarded,
    only their life counts. Of ``hold``: of a job in ``behind`` later ones alone show progress. Of
    ``stop``: once that attempt is discarded, the order is void."""
    behind: list[str] = Field(default_factory=list)
    """Of ``hold``: jobs that have to get somewhere first; then a watch lifts it by itself."""
    at: AtRung | None = None
    """Of ``stop``: where."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the orders come to, by job. None of them is undone by being older than another."""

    cancels: Mapping[str, tuple[Order, ...]] = field(default_factory=dict)
    """The cancel orders that no order lifted."""
    holds: Mapping[str, tuple[Order, ...]] = field(default_factory=dict)
    written_off: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Tokens of the submissions whose starts spend no budget any more."""
    discarded: Mapping[str, int] = field(default_factory=dict)
    """Number of the last attempt whose results do not count."""
    stops: Mapping[str, tuple[Order, ...]] = field(default_factory=dict)
    """The orders of a sweep's search to stop early; of attempts that were discarded none counts."""
    released: Mapping[str, tuple[Order, ...]] = field(default_factory=dict)
    """Those that a person lifted: the job goes to its end."""

    def ends(self, job: str) -> tuple[Order, ...]:
        """The orders by which a job that runs is to leave."""
        return (*self.cancels.get(job, ()), *self.stops.get(job, ()))

    def keeps(self, job: str) -> tuple[Order, ...]:
        """The orders that keep a job from being started."""
        return (*self.ends(job), *self.holds.get(job, ()))


NO_ORDERS = Standing()


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


def parts(
    orders: Iterable[Order], jobs: Collection[str], here: Sequence[Order] = ()
) -> list[Order]:
    """What these orders say of ``jobs``, less what the orders ``here`` have said already.

    A part of an order has an id of its own, the same for the same jobs: parts that come to one root
    one after the other stand side by side. An order that lifts one lifts the parts of it as well.
    """
    said = {(one.id[:WHOLE], job) for one in here for job in one.jobs}
    ids, found = {one.id for one in here}, []
    for order in orders:
        whole = order.id[:WHOLE]
        mine = [job for job in order.jobs if job in jobs and (whole, job) not in said]
        said |= {(whole, job) for job in mine}
        if mine == order.jobs and order.id not in ids:
            found.append(order)
        elif mine:
            of_these = sha256(" ".join(sorted(mine)).encode()).hexdigest()[: WHOLE // 2]
            found.append(order.model_copy(update={"id": whole + of_these, "jobs": mine}))
    known: dict[str, list[str]] = {}
    for one in (*here, *found):
        known.setdefault(one.id[:WHOLE], []).append(one.id)
    return [_lifting_parts(order, known) for order in found]


def _lifting_parts(order: Order, known: Mapping[str, Sequence[str]]) -> Order:
    """``known``: the ids of an order and its parts, by the order's own."""
    more = [one for gone in order.lifts for one in known.get(gone[:WHOLE], ())]
    return order.model_copy(update={"lifts": [*dict.fromkeys([*order.lifts, *more])]})


def standing_orders(orders: Iterable[Order]) -> Standing:
    """What stands of all orders of a root."""
    orders = list(orders)
    lifted = {(job, gone) for order in orders for gone in order.lifts for job in order.jobs}
    found: dict[str, dict[str, tuple[Order, ...]]] = {"cancel": {}, "hold": {}, "stop": {}}
    released: dict[str, tuple[Order, ...]] = {}
    written_off: dict[str, frozenset[str]] = {}
    discarded: dict[str, int] = {}
    for order in orders:
        for job in order.jobs:
            if order.what in found and (job, order.id) not in lifted:
                found[order.what][job] = (*found[order.what].get(job, ()), order)
            elif order.what == "stop":
                released[job] = (*released.get(job, ()), order)
            if order.tokens:
                written_off[job] = written_off.get(job, frozenset()).union(order.tokens)
            if order.what == "afresh":
                discarded[job] = max(discarded.get(job, 0), order.last.get(job, 0))
    stops, freed = (_of_today(one, discarded) for one in (found["stop"], released))
    return Standing(found["cancel"], found["hold"], written_off, discarded, stops, freed)


def _of_today(
    stops: Mapping[str, tuple[Order, ...]], discarded: Mapping[str, int]
) -> dict[str, tuple[Order, ...]]:
    """Those that judged an attempt which was not discarded since."""
    kept = {
        job: tuple(one for one in orders if one.last.get(job, 0) > discarded.get(job, 0))
        for job, orders in stops.items()
    }
    return {job: orders for job, orders in kept.items() if orders}
