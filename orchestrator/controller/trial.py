"""Trial jobs: of each distinct shape one goes first, and the others wait until it has got on."""

import json
from collections.abc import Sequence

from orchestrator.controller.decide import hold, lift
from orchestrator.controller.survey import Survey
from orchestrator.jobs.facts import final_attempt, read_attempts, read_history
from orchestrator.jobs.layout import Root
from orchestrator.jobs.orders import Order
from orchestrator.sweep.expand import Point

SHAPING = ("model", "data", "train")
"""Sections of the configuration that decide what a job needs; with placement and resources."""


def hold_back(root: Root, points: Sequence[Point]) -> list[str]:
    """Let the first point of each shape go ahead; the ids of the others, which are held."""
    shapes: dict[str, list[Point]] = {}
    for point in points:
        shapes.setdefault(shape_of(point), []).append(point)
    for trial, *others in shapes.values():
        if others:
            why = f"until its trial job has taken steps ({trial.name})"
            last = {trial.id: max(root.job(trial.id).attempt_numbers(), default=0)}
            hold(root, [point.id for point in others], why, behind=last)
    return [point.id for _, *others in shapes.values() for point in others]


def shape_of(point: Point) -> str:
    """What points have in common of which one tells whether the others would run."""
    config = point.config.to_plain()
    sections = {name: config[name] for name in SHAPING if name in config}
    return json.dumps([sections, point.placement.to_plain(), point.resources.to_plain()])


def passed(root: Root, found: Survey) -> list[Order]:
    """The orders that hold jobs of this look behind trial jobs which have got on since."""
    holds = {order.id: order for orders in found.standing.holds.values() for order in orders}
    mine = [o for o in holds.values() if o.behind and set(o.jobs) & found.statuses.keys()]
    return [o for o in mine if all(_has_got_on(root, found, o, job) for job in o.behind)]


def let_follow(root: Root, orders: Sequence[Order]) -> None:
    """Start the jobs behind trial jobs that have got on."""
    lift(root, orders, "its trial job has taken steps")


def _has_got_on(root: Root, found: Survey, order: Order, job: str) -> bool:
    """Whether a job is done, or has measured a step of its training since the order was given."""
    folder, discarded = root.job(job), found.standing.discarded.get(job, 0)
    if final_attempt(read_attempts(folder, discarded)):
        return True
    points = read_history(folder, max(discarded, order.last.get(job, 0))).points
    return bool(points) and points[-1].step > 0
