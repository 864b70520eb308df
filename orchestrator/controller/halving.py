"""Early stopping in a watch's round: what the search of a launched sweep decides now."""

from collections.abc import Mapping
from typing import Any

from orchestrator.controller.survey import Survey
from orchestrator.jobs import search
from orchestrator.jobs.layout import Root
from orchestrator.jobs.orders import Order
from orchestrator.jobs.state import State

OVER = (State.DONE, State.CANCELLED)
"""States of jobs that no search needs to stop."""


def due_stops(root: Root, revision: Mapping[str, Any], found: Survey) -> list[Order]:
    """The orders to stop that follow from this look and were not given yet."""
    going = {
        job: facts.attempts[-1].number
        for job, facts in found.facts.items()
        if facts.attempts and found.statuses[job].state not in OVER
    }
    return search.due_stops(root, revision, found.standing, going)
