"""Early stopping in a watch's round: what the search of a launched sweep decides now."""

from collections.abc import Mapping
from typing import Any

from orchestrator.controller.survey import Survey
from orchestrator.jobs import search
from orchestrator.jobs.layout import Root
from orchestrator.jobs.orders import Order
from orchestrator.jobs.state import State


def due_stops(root: Root, revision: Mapping[str, Any], found: Survey) -> list[Order]:
    """The orders to stop that follow from this look and were not given yet.

    What a person cancelled through its place stays cancelled.
    """
    return [
        order
        for order in search.due_stops(root, revision, found.standing)
        if found.statuses[order.jobs[0]].state is not State.CANCELLED
    ]
