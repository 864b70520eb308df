"""The verb usage: what jobs took of what they asked for, by shape and by axis."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, cast

from orchestrator.config.allotment import cpus_per_rank, partition_of, time_minutes
from orchestrator.config.resources import minutes
from orchestrator.controller.pace import place_of
from orchestrator.controller.select import Named
from orchestrator.controller.subjects import unmeasured
from orchestrator.documents.usage import UsageDocument
from orchestrator.errors import OrchestrateError
from orchestrator.executors.slurm_limits import gpus_of_allocation
from orchestrator.jobs.clock import file_time
from orchestrator.jobs.evidence import is_live
from orchestrator.jobs.facts import Attempt, JobFacts, final_attempt
from orchestrator.jobs.files import read_record
from orchestrator.jobs.gather import Beside, gather, read_submissions
from orchestrator.jobs.journal import Journal, read_journal
from orchestrator.jobs.layout import AttemptFolder, Root
from orchestrator.jobs.orders import read_orders, standing_orders
from orchestrator.jobs.spent import over_at, seen_end
from orchestrator.jobs.submissions import Submission
from orchestrator.jobs.usage import read_usage
from orchestrator.results.discarded import counts_until
from orchestrator.results.result import axes_of, check_question
from orchestrator.results.suggest import Suggestion, suggest
from orchestrator.results.usage import (
    PAUSES,
    Asked,
    AttemptUse,
    Figures,
    by_shape,
    by_value,
    figures,
)

AT_LIMIT = "SIGUSR2"
"""What a worker is told when the time given to it is about to end."""


@dataclass(frozen=True, slots=True)
class Group:
    """Jobs with one value on an axis."""

    axis: str
    value: Any
    figures: Figures


@dataclass(frozen=True, slots=True)
class Shape:
    """Attempts that asked for the same, and what the next ones might ask for."""

    asked: Asked
    figures: Figures
    suggested: Sequence[Suggestion]
    missing: Sequence[str]
    """What is not known, or why nothing is suggested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What ``usage`` shows; ``untold``: starts that told nothing of their machine."""

    shapes: Sequence[Shape]
    groups: Sequence[Group]
    total: Figures
    untold: int


def report(root: Root, jobs: Sequence[Named], by: Sequence[str]) -> Report:
    """The use of these jobs, by shape and by the axes ``by``; none: by all on which they differ.

    Raises:
        SpecError: there is no such axis.
    """
    results = unmeasured(root, jobs)
    check_question(results, (), by)
    attempts = attempts_of(root, [job.id for job in jobs])
    shapes = [
        Shape(asked, figures(members), *suggest(members))
        for asked, members in by_shape(attempts).items()
    ]
    groups: list[Group] = []
    for axis in by or axes_of(results):
        values = {result.id: result.at(axis) for result in results}
        keys = {job: json.dumps(value, sort_keys=True) for job, value in values.items()}
        found = by_value(attempts, keys)
        if by or len(found) > 1:
            groups += [Group(axis, values[one[0].job], figures(one)) for one in found.values()]
    untold = sum(not one.complete for one in attempts)
    return Report(shapes=shapes, groups=groups, total=figures(attempts), untold=untold)


def as_json(sweep: str | None, told: Report) -> UsageDocument:
    """The documented form of ``usage --json``."""
    document = {
        "schema": 1,
        "sweep": sweep,
        "total": told.total.to_plain(),
        "shapes": [
            {
                "asked": asdict(one.asked),
                **one.figures.to_plain(),
                "suggested": [line.to_plain() for line in one.suggested],
                "missing": list(one.missing),
            }
            for one in told.shapes
        ],
        "axes": [
            {"axis": one.axis, "value": one.value, **one.figures.to_plain()} for one in told.groups
        ],
        "untold": told.untold,
    }
    return cast("UsageDocument", document)


def attempts_of(root: Root, jobs: Sequence[str]) -> list[AttemptUse]:
    """The attempts on these jobs, as far as it is known what they asked for; no place is asked."""
    submissions = {one.token: one for one in read_submissions(root)}
    beside = Beside(standing=standing_orders(read_orders(root)))
    now = file_time(root.path)
    found: list[AttemptUse] = []
    for facts in gather(root, jobs, list(submissions.values()), beside).values():
        found += _attempts(root, facts, submissions, now)
    return found


def _attempts(
    root: Root, facts: JobFacts, submissions: Mapping[str, Submission], now: float
) -> list[AttemptUse]:
    attempts, folder = facts.attempts, root.job(facts.id)
    if not attempts:
        return []
    journals = {one.number: _journal(root, facts.id, one) for one in attempts}
    ends = {(member.token, member.index): member.end for member in facts.members}
    last, final = attempts[-1], final_attempt(attempts)
    live = is_live(last, ends.get(last.member), now)
    known = {number: journal for number, journal in journals.items() if journal is not None}
    seen = {one.number: seen_end(attempts, one, ends) for one in attempts}
    over = {one.number: over_at(attempts, one, ends) for one in attempts}
    if live:
        over[last.number] = max(now, last.start.time)
    counts = counts_until(attempts, known, over, live=live)
    found = []
    for attempt in attempts:
        if attempt.start.token not in submissions:  # its record cannot be read
            continue
        one, end = submissions[attempt.start.token], seen[attempt.number]
        uses, until = read_usage(folder.attempt(attempt.number)), over[attempt.number]
        waited, epochs = _waiting(journals[attempt.number])
        found.append(
            AttemptUse(
                job=facts.id,
                asked=_asked(one, attempt, folder.attempt(attempt.number)),
                over=not (live and attempt is last),
                seconds=max(0.0, until - attempt.start.time),
                lost_s=max(0.0, until - counts[attempt.number]),
                whole_s=_whole(attempts, counts, attempt) if attempt is final else None,
                at_limit=attempt.signal == AT_LIMIT or (end is not None and end.kind == "time"),
                lacked_memory=end is not None and end.kind == "memory",
                waited_s=waited,
                epochs_s=epochs,
                uses=uses,
            )
        )
    return found


def _whole(attempts: Sequence[Attempt], counts: Mapping[int, float], final: Attempt) -> float:
    """Seconds of a job that count, in all attempts up to the one that made it done."""
    return sum(
        max(0.0, counts[one.number] - one.start.time)
        for one in attempts
        if one.number <= final.number
    )


def _journal(root: Root, job: str, attempt: Attempt) -> Journal | None:
    return read_journal(root.job(job).attempt(attempt.number).journal, attempt.number)


def _waiting(journal: Journal | None) -> tuple[float, float]:
    """Seconds of waiting for data, and of the epochs of which that is known."""
    waited = whole = 0.0
    for point in journal.points if journal else ():
        told = point.metrics
        if "time/epoch_s" in told and "time/data_wait_share" in told:
            training = told["time/epoch_s"] - sum(told.get(pause, 0.0) for pause in PAUSES)
            waited += told["time/data_wait_share"] * training
            whole += told["time/epoch_s"]
    return waited, whole


def _asked(one: Submission, attempt: Attempt, folder: AttemptFolder) -> Asked:
    """What a submission asks for each of its jobs; on a machine, what they were to take."""
    resources, placement, cluster = one.resources, one.placement, one.cluster
    place = place_of(cluster, resources, attempt.start.host)
    if cluster is None:
        there = placement.device == "auto" and _machine_has_gpus(folder)
        return Asked(
            place=place,
            cluster=False,
            nodes=1,
            ranks=placement.ranks,
            gpus=placement.ranks if there or placement.device == "cuda" else 0,
            cpus=placement.ranks * (placement.threads_per_rank + placement.loader_workers),
            memory_gb=None,
            time_s=None,
        )
    gpus = gpus_of_allocation(one) / one.places
    limit, partition = time_minutes(cluster, resources), partition_of(cluster, resources)[1]
    return Asked(
        place=place,
        cluster=True,
        nodes=resources.nodes,
        ranks=placement.ranks,
        gpus=gpus,
        cpus=placement.ranks * cpus_per_rank(cluster, resources, placement),
        cpus_key="cpus_per_gpu" if gpus and resources.cpus_per_rank is None else "cpus_per_rank",
        memory_gb=resources.mem_gb_per_node,
        time_s=None if limit is None else limit * 60,
        jobs_per_allocation=resources.jobs_per_allocation,
        jobs_per_gpu=resources.jobs_per_gpu,
        stop_s=cluster.stop_before_end_s,
        most_memory_gb=partition.mem_gb_per_node,
        most_time_s=None if partition.time is None else minutes(partition.time) * 60,
        asks_memory=cluster.ask_memory,
    )


def _machine_has_gpus(folder: AttemptFolder) -> bool:
    """As the attempt recorded its machine."""
    with suppress(FileNotFoundError, OrchestrateError):
        return bool(read_record(folder.environment).get("gpus"))
    return False
