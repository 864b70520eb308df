"""The facts of many jobs from a run root: attempts, memberships, what is damaged."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.jobs.damage import fault_of
from orchestrator.jobs.facts import (
    Attempt,
    End,
    JobFacts,
    Member,
    final_attempt,
    read_attempts,
)
from orchestrator.jobs.files import read_record
from orchestrator.jobs.layout import Root
from orchestrator.jobs.orders import NO_ORDERS, Standing, read_orders, standing_orders
from orchestrator.jobs.submissions import Submission, read_handle, read_outcomes


def read_submissions(root: Root) -> list[Submission]:
    """Every submission, oldest first."""
    found = [Submission.read(folder) for folder in root.submissions()]
    return sorted(found, key=lambda submission: (submission.created, submission.token))


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What is known of jobs beside their own files and their submissions'."""

    seen: Mapping[tuple[str, int], End] = field(default_factory=dict)
    """Ends of members that are not stored yet."""
    standing: Standing = NO_ORDERS
    folders: Collection[str] | None = None
    """The jobs that have a folder, where all were looked up at once: others are not looked for."""


def gather(
    root: Root,
    ids: Collection[str],
    submissions: Sequence[Submission],
    beside: Beside = Beside(),  # it is frozen
) -> dict[str, JobFacts]:
    """The facts of the jobs named by ``ids``."""
    members: dict[str, list[Member]] = {job: [] for job in ids}
    for submission in submissions:
        if not members.keys() & set(submission.jobs):
            continue
        for job, member in zip(submission.jobs, _members(root, submission), strict=True):
            if job in members:
                members[job].append(member)
    return {job: _facts(root, job, found, beside) for job, found in members.items()}


def attempts_on(root: Root, ids: Collection[str]) -> dict[str, tuple[Attempt, ...]]:
    """The attempts on jobs, oldest first, those that orders discarded marked so."""
    discarded = standing_orders(read_orders(root)).discarded
    return {job: read_attempts(root.job(job), discarded.get(job, 0)) for job in ids}


def recorded_ends(root: Root, token: str) -> dict[int, End]:
    """The stored ends of a submission's members, by index."""
    return {
        outcome["index"]: End(**{k: outcome[k] for k in End.__slots__ if k in outcome})
        for outcome in read_outcomes(root.submission(token))
    }


def _facts(root: Root, job: str, members: Sequence[Member], beside: Beside) -> JobFacts:
    """What was discarded of it may be gone or damaged."""
    standing = beside.standing
    there = beside.folders is None or job in beside.folders
    attempts = read_attempts(root.job(job), standing.discarded.get(job, 0)) if there else ()
    gone = standing.written_off.get(job, ()) if job in standing.discarded else ()
    names = {(m.token, m.index): m.end for m in members if not m.refused and m.token not in gone}
    ends = {name: end for name, stored in names.items() if (end := stored or beside.seen.get(name))}
    kept = [attempt for attempt in attempts if not attempt.discarded]
    fault = fault_of(root, job, kept, ends, done=final_attempt(attempts) is not None)
    return JobFacts(job, attempts, tuple(members), fault)


def _members(root: Root, submission: Submission) -> list[Member]:
    folder = root.submission(submission.token)
    handle, refused = read_handle(folder), folder.refused.exists()
    answer = read_record(folder.refused) if refused else {}
    ends = recorded_ends(root, submission.token)
    return [
        Member(
            token=submission.token,
            index=index,
            executor=submission.executor,
            created=submission.created,
            handle=handle,
            refused=refused,
            end=ends.get(index),
            restarts=submission.cluster is not None,
            elsewhere=submission.ray is not None and submission.ray.address is not None,
            why_refused=answer.get("why", ""),
            full=answer.get("full", False),
            placement=submission.placement,
            resources=submission.resources,
            cluster=submission.cluster,
            form=submission.form(index),
        )
        for index in range(len(submission.jobs))
    ]
