"""Rows of jobs as ``status`` shows them, made up."""

from typing import Any

from orchestrator.controller.status import Row
from orchestrator.jobs.state import State


def row(name: str, state: State = State.QUEUED, epoch: int = 0, **more: Any) -> Row:
    known = {
        "id": f"{abs(hash(name)):032x}",
        "name": name,
        "state": state,
        "epoch": epoch,
        "outcome": "finished" if state is State.DONE else None,
        "reason": "",
        "epochs": 10,
        "step": 10 * epoch,
        "eta_s": None,
        "metrics": {},
        "attempts": 1,
        "executor": "local",
        "handle": None,
        "stale_s": None,
        "older_code": False,
        "older_weights": False,
    }
    return Row(**{**known, **more})
