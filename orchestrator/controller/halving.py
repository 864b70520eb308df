"""Early stopping in a watch's round: what the search of a launched sweep decides now."""

from collections.abc import Collection, Mapping
from typing import Any

from orchestrator.config.search import Asha
from orchestrator.controller.survey import Survey
from orchestrator.jobs.layout import Root
from orchestrator.jobs.orders import Order
from orchestrator.jobs.search import reached_by, stop_orders
from orchestrator.jobs.state import State
from orchestrator.jobs.store import is_imported, launched_revision

OVER = (State.DONE, State.CANCELLED)
"""States of jobs that no search needs to stop."""


def due_stops(root: Root, revision: Mapping[str, Any], found: Survey) -> list[Order]:
    """The orders to stop that follow from this look and were not given yet.

    A job that another sweep launched here has, which searches nothing, is left to its end.
    """
    search = revision.get("search")
    if search is None:
        return []
    standing = found.standing
    asha, discarded = Asha.from_record(search["asha"]), standing.discarded
    jobs = [job["id"] for job in revision["jobs"]]
    reached = {job: reached_by(root.job(job), asha.metric, discarded.get(job, 0)) for job in jobs}
    going = {
        job: found.facts[job].attempts[-1].number
        for job in jobs
        if reached[job]
        and found.statuses[job].state not in OVER
        and job not in standing.cancels
        and found.facts[job].attempts
    }
    how = (asha, search["rungs"], reached, standing)
    due = stop_orders(*how, going=going, sweep=revision["name"])
    if not due:
        return []
    whole = wanted_whole(root, {job for order in due for job in order.jobs})
    return [order for order in due if not whole & {*order.jobs}]


def wanted_whole(root: Root, jobs: Collection[str]) -> set[str]:
    """Those of the jobs that a sweep launched here has which searches nothing."""
    launched = (name for name in root.sweep_names() if not is_imported(root, name))
    revisions = (launched_revision(root, name) for name in launched)
    plain = (revision for revision in revisions if revision.get("search") is None)
    return {job["id"] for revision in plain for job in revision["jobs"]} & {*jobs}
