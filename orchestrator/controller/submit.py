"""Handing jobs to a place: intent first, then the submission, then its answer."""

import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from orchestrator.config import ClusterProfile, Placement, RaySite, Resources
from orchestrator.controller.gpus import gpus_asked
from orchestrator.controller.survey import Survey
from orchestrator.errors import BusyError, Full, Refused, Unclear
from orchestrator.executors import executor_named
from orchestrator.executors.base import Executor
from orchestrator.jobs.clock import file_time
from orchestrator.jobs.evidence import Sight
from orchestrator.jobs.layout import Root
from orchestrator.jobs.lease import Lease
from orchestrator.jobs.parents import Parent
from orchestrator.jobs.processes import user_name
from orchestrator.jobs.records import Form
from orchestrator.jobs.rules import with_more
from orchestrator.jobs.state import JobStatus, State
from orchestrator.jobs.submissions import (
    Submission,
    write_full,
    write_intent,
    write_refused,
    write_submitted,
)
from orchestrator.sweep.expand import Point

EXCLUDE = "exclude"
"""sbatch's option for nodes that a job must not get."""


@dataclass(frozen=True, slots=True)
class Due:
    """A job to be submitted, and how."""

    id: str
    name: str
    placement: Placement
    resources: Resources
    form: Form | None
    """What it is; None where an older program launched it, which wrote its record then."""
    avoid: tuple[str, ...] = ()
    """Nodes of a cluster that it should not get."""
    parent: Parent | None = None
    """What has to be done before."""

    @classmethod
    def of(cls, point: Point) -> Self:
        """A point of a sweep, as it stands there."""
        how = (point.placement, point.resources, point.form)
        return cls(point.id, point.name, *how, parent=point.parent)

    @property
    def shape(self) -> str:
        """What jobs of one submission have in common."""
        asked = self.placement.model_dump_json() + self.resources.model_dump_json()
        return asked + ",".join(self.avoid)


@dataclass(frozen=True, slots=True)
class Terms:
    """What the submissions of one sweep have in common; kept in the sweep's revision."""

    executor: str
    max_parallel: int | None
    """Jobs at a time; None leaves it to the place."""
    data_root: Path
    cluster: ClusterProfile | None = None
    ray: RaySite | None = None

    @classmethod
    def of_revision(cls, revision: dict[str, Any]) -> Self:
        cluster, ray = revision.get("cluster"), revision.get("ray")
        return cls(
            revision["executor"],
            revision["max_parallel"],
            Path(revision["data_root"]),
            None if cluster is None else ClusterProfile.from_record(cluster),
            None if ray is None else RaySite.from_record(ray),
        )


def due_of_revision(revision: dict[str, Any]) -> list[Due]:
    """Every job of a sweep's revision as it would be submitted."""
    shapes = [_shape(one) for one in revision.get("shapes", ())]
    return [
        Due(
            *(job["id"], job["name"], placement, resources, job.get("form")),
            parent=Parent.listed(job),
        )
        for job in revision["jobs"]
        for placement, resources in (shapes[job["shape"]] if shapes else _shape(job),)
    ]


def _shape(plain: dict[str, Any]) -> tuple[Placement, Resources]:
    """Of a revision; older programs wrote it with each job, the oldest without resources."""
    placement = Placement.from_record(plain["placement"])
    return placement, Resources.from_record(plain.get("resources", {}))


def draft(due: Sequence[Due], terms: Terms, snapshot: str) -> Submission:
    """The submission of jobs of one shape."""
    cluster = terms.cluster and avoiding(terms.cluster, due[0].avoid)
    return Submission(
        executor=terms.executor,
        jobs=[one.id for one in due],
        names=[one.name for one in due],
        forms=[None if one.form is None else dict(one.form) for one in due],
        placement=due[0].placement,
        resources=due[0].resources,
        cluster=cluster,
        ray=terms.ray,
        max_parallel=terms.max_parallel,
        snapshot=snapshot,
        python=(cluster.python if cluster else None) or sys.executable,
        data_root=str(terms.data_root),
        owner=user_name(),
    )


def avoiding(cluster: ClusterProfile, nodes: Sequence[str]) -> ClusterProfile:
    """The profile with these nodes among those that sbatch is told to leave out."""
    if not nodes:
        return cluster
    others = [own] if (own := cluster.extra.get(EXCLUDE)) else []
    left_out = ",".join([*others, *nodes])
    return cluster.model_copy(update={"extra": {**cluster.extra, EXCLUDE: left_out}})


def remedied(due: Due, status: JobStatus, cluster: ClusterProfile | None) -> Due:
    """The job with more of what its last starts lacked, and away from where they failed."""
    resources = with_more(due.resources, status.lacked, cluster)
    return replace(due, resources=resources, avoid=status.avoid if cluster else ())


@dataclass(frozen=True, slots=True)
class Handed:
    """The jobs that were handed over, and what the place said where that was not clear.

    ``why``: in words, why it is not all; empty where that is the sweep's own ``max_parallel``, or
    the profile's ``max_submit``.
    """

    jobs: tuple[str, ...]
    unclear: tuple[str, ...]
    why: str = ""

    def lacking(self, due: int) -> tuple[str, ...]:
        """A sentence on how many of the ``due`` jobs wait, if there is more to say of it."""
        return (f"{self.why}; {due - len(self.jobs)} wait for room",) if self.why else ()


@dataclass(frozen=True, slots=True)
class Submitter:
    """Submits jobs of one sweep under a lease, on today's code, or on what wrote a checkpoint."""

    root: Root
    lease: Lease
    terms: Terms
    snapshot: str
    reserved: int = 0
    """Places in the queue that are left to others."""

    def submit(self, due: Sequence[Due], found: Survey) -> "Handed":
        """One submission per shape and code, as far as the place takes them now.

        A preempted job goes on with the code that wrote its checkpoint. A partition that is full is
        left alone for this time.

        Raises:
            Refused: the place said no; what was submitted before stays submitted.
            Unclear: it could not be asked how much it takes; nothing was submitted.
            BusyError: the lease was lost meanwhile.
        """
        executor = executor_named(self.terms.executor, self.root)
        groups: dict[tuple[str, str], list[Due]] = {}
        for asked in due:
            one = remedied(asked, found.statuses[asked.id], self.terms.cluster)
            code = _code_to_go_on_with(self.root, one.id, found) or self.snapshot
            groups.setdefault((code, one.shape), []).append(one)
        drafts = [draft(members, self.terms, code) for (code, _), members in groups.items()]
        # By the file server's clock: the order of submissions counts, and a machine's may be wrong.
        skew_s = file_time(self.root.path) - time.time()
        drafts = [one.model_copy(update={"created": one.created + skew_s}) for one in drafts]
        admitted = executor.admit(
            drafts, under_way=_under_way(found), reserved=self.reserved, gpus=self._gpus(found)
        )
        jobs: list[str] = []
        unclear: list[str] = []
        full: dict[str | None, str] = {}
        for whole in admitted.now:
            partition = whole.resources.partition
            if partition not in full:
                handed = self._feed(executor, whole)
                jobs += handed.jobs
                unclear += handed.unclear
                full |= {partition: handed.why} if handed.why else {}
        why = dict.fromkeys(filter(None, (admitted.why, *full.values())))
        return Handed(tuple(jobs), tuple(unclear), "; ".join(why))

    def _gpus(self, found: Survey) -> int:
        """How many the root's jobs ask for, where the cluster's profile sets a limit to them."""
        cluster = self.terms.cluster
        if cluster is None or cluster.max_gpus is None:
            return 0
        return gpus_asked(self.root, cluster.name, found)

    def _feed(self, executor: Executor, whole: Submission) -> Handed:
        """Hand it over, in ever smaller parts where the place has no room for it.

        A place that takes minutes to say so is only asked for one more job.
        """
        jobs: list[str] = []
        unclear: list[str] = []
        why, size, parallel, slow = "", len(whole.jobs), whole.max_parallel, False
        while len(jobs) < len(whole.jobs) and parallel != 0:
            part = whole.part(len(jobs), min(len(whole.jobs), len(jobs) + size))
            part = part.model_copy(update={"max_parallel": parallel})
            try:
                words = self._hand_over(executor, part)
            except Full as full:
                why, slow = str(full), full.slow
                if len(part.jobs) == 1:
                    break
                size = 1 if slow else len(part.jobs) // 2
                continue
            jobs += part.jobs
            unclear += [words] if words else []
            # The parts together keep to what the whole was given.
            parallel = None if parallel is None else max(0, parallel - len(part.jobs))
            if slow:
                break
        return Handed(tuple(jobs), tuple(unclear), why if len(jobs) < len(whole.jobs) else "")

    def _hand_over(self, executor: Executor, submission: Submission) -> str | None:
        """Intent, submission, answer; returns the place's words if it is not clear what it did."""
        folder = write_intent(self.root, submission, executor.render(submission))
        if not self.lease.mine():
            write_refused(folder, "the lease was taken over before it was submitted")
            raise BusyError(f"Another process took over {self.root.path}. Run the command again.")
        try:
            write_submitted(folder, executor.submit(submission))
        except Refused as error:
            write_refused(folder, str(error))
            if submission.cluster == self.terms.cluster:
                raise
            # The nodes to avoid are all there are, or one of them is no more: then any will do.
            return self._hand_over(executor, submission.under(self.terms.cluster))
        except Full as error:
            write_full(folder, str(error))
            raise
        except Unclear as error:
            return str(error)
        return None


def _under_way(found: Survey) -> int:
    """How many jobs at once the submissions so far may run, of those that wait or run."""
    busy = (Sight.WAITING, Sight.RUNNING)
    members = Counter(token for (token, _), seen in found.seen.items() if seen.sight in busy)
    return sum(min(s.max_parallel or members[s.token], members[s.token]) for s in found.submissions)


def _code_to_go_on_with(root: Root, job: str, found: Survey) -> str | None:
    """Snapshot of a preempted job's last submission, if it is still there."""
    if found.statuses[job].state is not State.PREEMPTED:
        return None
    tokens = {s.token: s.snapshot for s in found.submissions}
    code = tokens.get(found.facts[job].attempts[-1].start.token)
    return code if code and (root.snapshots / code).is_dir() else None
