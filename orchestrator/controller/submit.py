"""Handing jobs to a place: intent first, then the submission, then its answer."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from orchestrator.config import Placement
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
    max_parallel: int | None
    """Jobs at a time; None: as many as this machine has cores for."""
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
        max_parallel=terms.max_parallel or _as_cores_allow(due[0].placement),
        snapshot=snapshot,
        python=sys.executable,
        data_root=str(terms.data_root),
        owner=user_name(),
    )


@dataclass(frozen=True, slots=True)
class Submitter:
    """Submits jobs of one sweep under a lease, on today's code, or on what wrote a checkpoint."""

    root: Root
    lease: Lease
    terms: Terms
    snapshot: str

    def submit(self, due: Sequence[Due], found: Survey) -> list[str]:
        """One submission per placement and code; returns what was not clear.

        A preempted job goes on with the code that wrote its checkpoint.

        Raises:
            Refused: the place said no; what was submitted before stays submitted.
            BusyError: the lease was lost meanwhile.
        """
        groups: dict[tuple[str, str], list[Due]] = {}
        for one in due:
            code = _code_to_go_on_with(self.root, one.id, found) or self.snapshot
            groups.setdefault((code, one.placement.model_dump_json()), []).append(one)
        drafts = [draft(members, self.terms, code) for (code, _), members in groups.items()]
        return [unclear for one in drafts if (unclear := self._hand_over(one))]

    def _hand_over(self, submission: Submission) -> str | None:
        """Intent, submission, answer; returns the place's words if it is not clear what it did."""
        executor = executor_named(self.terms.executor, self.root)
        folder = write_intent(self.root, submission, executor.render(submission))
        if not self.lease.mine():
            write_refused(folder, "the lease was taken over before it was submitted")
            raise BusyError(f"Another process took over {self.root.path}. Run the command again.")
        try:
            write_submitted(folder, executor.submit(submission))
        except Refused as error:
            write_refused(folder, str(error))
            raise
        except Unclear as error:
            return str(error)
        return None


def _as_cores_allow(placement: Placement) -> int:
    """Jobs at a time on this machine: a core for each thread."""
    return max(1, len(os.sched_getaffinity(0)) // (placement.ranks * placement.threads_per_rank))


def _code_to_go_on_with(root: Root, job: str, found: Survey) -> str | None:
    """Snapshot of a preempted job's last submission, if it is still there."""
    if found.statuses[job].state is not State.PREEMPTED:
        return None
    tokens = {s.token: s.snapshot for s in found.submissions}
    code = tokens.get(found.facts[job].attempts[-1].start.token)
    return code if code and (root.snapshots / code).is_dir() else None
