"""Trial jobs: of each distinct shape one goes first, and the others wait until it has got on."""

import json
from collections.abc import Collection, Sequence

from orchestrator.controller.decide import hold, lift
from orchestrator.controller.survey import Survey
from orchestrator.jobs.facts import read_history
from orchestrator.jobs.layout import Root
from orchestrator.jobs.orders import Order
from orchestrator.jobs.state import State
from orchestrator.sweep.expand import Point

SHAPING = ("model", "data", "train")
"""Sections of the configuration that decide what a job needs; with placement and resources."""


def hold_back(root: Root, points: Sequence[Point]) -> list[str]:
    """Let the first point of each shape go ahead; the ids of the others, which are held."""
    first: dict[str, Point] = {}
    for point in points:
        first.setdefault(shape_of(point), point)
    ahead = {point.id for point in first.values()}
    others = [point.id for point in points if point.id not in ahead]
    if others:
        names = ", ".join(point.name for point in first.values())
        hold(root, others, f"until trial jobs have taken steps ({names})", behind=ahead)
    return others


def shape_of(point: Point) -> str:
    """What points have in common of which one tells whether the others would run."""
    config = point.config.to_plain()
    sections = {name: config[name] for name in SHAPING}
    return json.dumps([sections, point.placement.to_plain(), point.resources.to_plain()])


def passed(root: Root, found: Survey) -> list[Order]:
    """The orders that hold jobs of this look behind trial jobs which have all got on."""
    holds = {order.id: order for orders in found.standing.holds.values() for order in orders}
    mine = [o for o in holds.values() if o.behind and set(o.jobs) & found.statuses.keys()]
    return [order for order in mine if _got_on(root, found, order.behind)]


def let_follow(root: Root, orders: Sequence[Order]) -> None:
    """Start the jobs behind trial jobs that have got on."""
    lift(root, orders, "its trial jobs have taken steps")


def _got_on(root: Root, found: Survey, jobs: Collection[str]) -> bool:
    return all(_has_taken_steps(root, found, job) for job in jobs)


def _has_taken_steps(root: Root, found: Survey, job: str) -> bool:
    """Whether a job has measured a step of its training, or a sweep no longer has it."""
    if job not in found.statuses or found.statuses[job].state is State.DONE:
        return True
    points = read_history(root.job(job), found.facts[job].discarded).points
    return bool(points) and points[-1].step > 0
