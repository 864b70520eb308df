"""The limit that a waiting job has met, in numbers: what SLURM's reason is about."""

import re
from collections.abc import Callable, Iterator, Mapping

from orchestrator.config.allotment import time_minutes
from orchestrator.executors import slurm_queries as slurm
from orchestrator.executors.slurm_limits import gpus_of_allocation, partition_name
from orchestrator.executors.slurm_queries import NoAnswer
from orchestrator.executors.slurm_site import (
    associations,
    partitions,
    qualities,
    told_limits,
)
from orchestrator.jobs.submissions import Submission

REASON = re.compile(r"(?:start \d+: )?(?P<word>\w+)")
"""SLURM's own word at the head of what is told of a waiting job."""


def limit_in_words(submission: Submission, detail: str) -> list[str]:
    """What is known of the limit that a member of ``submission`` waits for, in sentences.

    ``detail``: what its place says of it. Nothing where it names no limit, or SLURM does not say.
    """
    found = REASON.match(detail)
    if found is None or submission.cluster is None:
        return []
    for pattern, told in ABOUT.items():
        if re.fullmatch(pattern, found["word"]):
            try:
                return list(told(submission))
            except NoAnswer:
                return []
    return []


def _of_array(submission: Submission) -> Iterator[str]:
    if submission.max_parallel is not None:
        yield (
            f"Limit: {submission.max_parallel} of the {len(submission.jobs)} jobs of its "
            "submission run at once (max_parallel in the sweep)."
        )


def _of_queue(submission: Submission) -> Iterator[str]:
    name = partition_name(submission)
    options = ("--noheader", "--states=PENDING", f"--partition={name}", "--format=%u")
    waiting = slurm.ask("squeue", *options).split()
    users = len({*waiting})
    yield (
        f"Queue: {len(waiting)} jobs and arrays of {users} user(s) wait in partition {name}; what "
        "asks for less time, or fewer nodes, may start in a gap before them."
    )


def _of_partition(submission: Submission) -> Iterator[str]:
    name, there = partition_name(submission), partitions()
    if name not in there:
        return
    facts, nodes = there[name], submission.resources.nodes
    gpus = gpus_of_allocation(submission) // nodes
    assert submission.cluster is not None
    minutes = time_minutes(submission.cluster, submission.resources)
    time = "" if minutes is None else f", for {minutes / 60:g} h"
    limit = "any time" if facts.minutes is None else f"{facts.minutes / 60:g} h"
    yield (
        f"It asks for {nodes} node(s) with {gpus} GPU(s) each{time}; "
        f"partition {name} has {facts.usable} of {facts.nodes} nodes in service, with "
        f"{facts.gpus} GPU(s) each, for {limit}."
    )


def _of_account(submission: Submission) -> Iterator[str]:
    assert submission.cluster is not None
    account = submission.cluster.account
    for row in associations(submission.owner):
        if (account is None or row.get("Account") == account) and (limits := told_limits(row)):
            yield f"Limits of account {row.get('Account', '?')}: {limits}."


def _of_quality(submission: Submission) -> Iterator[str]:
    assert submission.cluster is not None
    known = {submission.cluster.qos} if submission.cluster.qos else _own_qualities(submission)
    for row in qualities():
        if row.get("Name") in known and (limits := told_limits(row)):
            yield f"Limits of QOS {row['Name']}: {limits}."


def _own_qualities(submission: Submission) -> set[str | None]:
    rows = associations(submission.owner)
    return {quality for row in rows for quality in row.get("QOS", "").split(",")}


ABOUT: Mapping[str, Callable[[Submission], Iterator[str]]] = {
    "JobArrayTaskLimit": _of_array,
    "Priority": _of_queue,
    "Resources|NodeDown|NodesRequired|ReqNodeNotAvail|Partition.*|BadConstraints": _of_partition,
    "Assoc.*": _of_account,
    "QOS.*|MaxTRES.*": _of_quality,
}
"""By a pattern of SLURM's reasons, what says more about them."""
