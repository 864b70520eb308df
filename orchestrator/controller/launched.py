"""What a launch did, and what it left alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from model.variants import package_of
from orchestrator.controller.survey import Survey, survey
from orchestrator.documents.launches import LaunchDocument
from orchestrator.jobs.code import is_older, todays_codes
from orchestrator.jobs.layout import Root
from orchestrator.jobs.state import UNDER_WAY, State
from orchestrator.jobs.store import newest_revision
from orchestrator.jobs.summary import codes_of_result
from orchestrator.sweep.expand import Sweep

NAMED = 8
"""So many jobs are named in a warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """What a launch did and what it left alone."""

    root: Root
    revision: int
    submitted: tuple[str, ...]
    later: tuple[str, ...]
    """Due too, but more than the place takes now: a watch submits them as room comes."""
    behind: tuple[str, ...]
    """Due too, and held until the trial jobs have got on: a watch submits them then."""
    waiting: int
    """Not due before their parents are done: a watch submits them then."""
    why_later: str
    """What the place said of that, if it did."""
    controller: str | None
    """A sentence on the small job that tends the sweep, if one was asked for."""
    ending: int
    """Cancelled before, and still at it: they cannot be submitted yet."""
    left_alone: Mapping[State, int]
    older_code: int
    """Of those that are DONE: by other code than today's."""
    older_weights: int
    """Of those: of weights that their parents have trained anew since."""
    other_placement: int
    """Of those that wait: submitted with another placement or other resources than now."""
    dropped_running: Mapping[str, str]
    """Names by id of points that the sweep no longer has, and that run or wait."""
    warnings: list[str] = field(default_factory=list)


def as_json(sweep: Sweep, launched: Launched) -> LaunchDocument:
    """The documented form of ``launch --json``."""
    dropped = launched.dropped_running.items()
    return {
        "schema": 1,
        "sweep": sweep.name,
        "executor": sweep.executor,
        "root": str(launched.root.path),
        "revision": launched.revision,
        "jobs": len(sweep.points),
        "submitted": launched.submitted,
        "later": launched.later,
        "why_later": launched.why_later,
        "behind": launched.behind,
        "waiting": launched.waiting,
        "ending": launched.ending,
        "left_alone": launched.left_alone,
        "older_code": launched.older_code,
        "older_weights": launched.older_weights,
        "other_placement": launched.other_placement,
        "dropped_running": [{"id": job, "name": name} for job, name in dropped],
        "controller": launched.controller,
        "warnings": launched.warnings,
    }


def is_damaged(found: Survey, job: str) -> bool:
    """Whether it started before and is not whole: to write its record would hide that."""
    return job not in found.settled and bool(found.facts[job].fault)


def told_of_damaged(sweep: Sweep, found: Survey) -> list[str]:
    """A warning of the jobs that are not whole, if there are any."""
    damaged = [point.name for point in sweep.points if is_damaged(found, point.id)]
    if not damaged:
        return []
    told = (
        f"{len(damaged)} job(s) have started before and are not whole, so they are left alone "
        f"({', '.join(damaged[:NAMED])}{', ...' if len(damaged) > NAMED else ''}); what is missing "
        "and what to do says: orchestrate why JOB"
    )
    return [told]


def of_older_code(sweep: Sweep, found: Survey) -> set[str]:
    """The sweep's jobs that have a result of other code than today's."""
    today = todays_codes(sweep.packages)
    trained = {point.id: point.trained for point in sweep.points}
    packages = {
        job: package_of(config.model.attention) if config else "" for job, config in trained.items()
    }
    return {job for job, own in packages.items() if is_older(codes_of(found, job), own, today)}


def codes_of(found: Survey, job: str) -> set[str]:
    """Hashes of the code that made a job's result."""
    if job in found.settled:
        return {*found.settled[job].summary.codes}
    return {*codes_of_result(found.facts[job])}


def of_other_placement(sweep: Sweep, found: Survey) -> int:
    """How many jobs wait with another placement or other resources than the sweep has now."""
    shapes = {s.token: (s.placement, s.resources) for s in found.submissions}
    queued = (p for p in sweep.points if found.statuses[p.id].state is State.QUEUED)
    newest = ((point, found.facts[point.id].newest) for point in queued)
    return sum(
        member is not None and shapes[member.token] != (point.placement, point.resources)
        for point, member in newest
    )


def dropped_running(root: Root, sweep: Sweep) -> dict[str, str]:
    """The points of the last revision that this one lacks and that run or wait."""
    last = newest_revision(root, sweep.name)
    if last is None:
        return {}
    ids = {point.id for point in sweep.points}
    names = {job["id"]: job["name"] for job in last[1]["jobs"] if job["id"] not in ids}
    if not names:
        return {}
    statuses = survey(root, list(names)).statuses
    return {job: name for job, name in names.items() if statuses[job].state in UNDER_WAY}
