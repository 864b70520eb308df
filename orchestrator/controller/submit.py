"""Handing jobs to a place: intent first, then the submission, then its answer."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from orchestrator.config import Placement
from orchestrator.controller.snapshot import take_snapshot
from orchestrator.controller.survey import Survey
from orchestrator.errors import BusyError, Refused, Unclear
from orchestrator.executors import executor_named
from orchestrator.jobs.layout import Root
from orchestrator.jobs.lease import Lease
from orchestrator.jobs.processes import user_name
from orchestrator.jobs.state import State
from orchestrator.jobs.submissions import (
    Submission,
    write_intent,
    write_refused,
    write_submitted,
)


@dataclass(frozen=True, slots=True)
class Due:
    """A job to be submitted, and how."""

    id: str
    name: str
    placement: Placement


@dataclass(frozen=True, slots=True)
class Terms:
    """What the submissions of one sweep have in common; kept in the sweep's revision."""

    executor: str
    max_parallel: int
    data_root: Path

    @classmethod
    def of_revision(cls, revision: dict[str, Any]) -> Self:
        return cls(revision["executor"], revision["max_parallel"], Path(revision["data_root"]))


def due_of_revision(revision: dict[str, Any]) -> list[Due]:
    """Every job of a sweep's revision as it would be submitted."""
    return [
        Due(job["id"], job["name"], Placement.from_plain(job["placement"]))
        for job in revision["jobs"]
    ]


def draft(due: Sequence[Due], terms: Terms, snapshot: str) -> Submission:
    """The submission of jobs that share a placement."""
    return Submission(
        executor=terms.executor,
        jobs=[one.id for one in due],
        names=[one.name for one in due],
        placement=due[0].placement,
        max_parallel=terms.max_parallel,
        snapshot=snapshot,
        python=sys.executable,
        data_root=str(terms.data_root),
        owner=user_name(),
    )


def submit(root: Root, lease: Lease, due: Sequence[Due], terms: Terms, found: Survey) -> list[str]:
    """Submit the jobs, one submission per placement and code; returns what was not clear.

    A preempted job goes on with the code that wrote its checkpoint; the others get today's.

    Raises:
        Refused: the place said no; what was submitted before stays submitted.
        BusyError: the lease was lost meanwhile.
    """
    executor = executor_named(terms.executor, root)
    today = take_snapshot(root)
    groups: dict[tuple[str, str], list[Due]] = {}
    for one in due:
        code = _code_to_go_on_with(root, one.id, found) or today
        groups.setdefault((code, one.placement.model_dump_json()), []).append(one)
    unclear = []
    for (code, _), members in groups.items():
        submission = draft(members, terms, code)
        folder = write_intent(root, submission, executor.render(submission))
        if not lease.mine():
            write_refused(folder, "the lease was taken over before it was submitted")
            raise BusyError(f"Another process took over {root.path}. Run the command again.")
        try:
            write_submitted(folder, executor.submit(submission))
        except Refused as error:
            write_refused(folder, str(error))
            raise
        except Unclear as error:
            unclear.append(str(error))
    return unclear


def _code_to_go_on_with(root: Root, job: str, found: Survey) -> str | None:
    """Snapshot of a preempted job's last submission, if it is still there."""
    if found.statuses[job].state is not State.PREEMPTED:
        return None
    tokens = {s.token: s.snapshot for s in found.submissions}
    code = tokens.get(found.facts[job].attempts[-1].start.token)
    return code if code and (root.snapshots / code).is_dir() else None
