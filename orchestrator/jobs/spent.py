"""What the starts of a job have cost so far, in hours of its devices."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from orchestrator.config.allotment import devices_of, gpus_asked_per_node
from orchestrator.jobs.facts import Attempt, End, JobFacts, Member

NO_GPU = ("", "-1")
"""Values of ``CUDA_VISIBLE_DEVICES`` that hide them all."""
Ends = Mapping[tuple[str, int], End | None]
"""How places saw members end, by token and index."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Hours by the clock times devices: GPUs where a start had any, cores where it had none."""

    gpu_hours: float = 0.0
    cpu_hours: float = 0.0

    @classmethod
    def total(cls, parts: Iterable[Self]) -> Self:
        """All of them together."""
        told = list(parts)
        return cls(sum(one.gpu_hours for one in told), sum(one.cpu_hours for one in told))


def spent_on(facts: JobFacts) -> Spent:
    """What all starts of a job took: those that failed, were stopped or discarded as well.

    Each from when it claimed the job to when it said that it ended, else to its last heartbeat.
    What a place needs to start a worker is not in it, nor is a start of which no submission is
    known. Of GPUs that jobs of an allocation share each has its part.
    """
    members = {(member.token, member.index): member for member in facts.members}
    ends = {place: member.end for place, member in members.items()}
    parts = []
    for attempt in facts.attempts:
        member = members.get(attempt.member)
        if member is not None:
            until = over_at(facts.attempts, attempt, ends)
            hours = max(0.0, until - attempt.start.time) / 3600
            count, gpu = _devices(attempt, member)
            parts.append(Spent(gpu_hours=hours * count) if gpu else Spent(cpu_hours=hours * count))
    return Spent.total(parts)


def seen_end(attempts: Sequence[Attempt], attempt: Attempt, ends: Ends) -> End | None:
    """How its place saw an attempt end: its member's end, if this was the member's last start."""
    last = max(one.number for one in attempts if one.member == attempt.member)
    end = ends.get(attempt.member) if attempt.number == last else None
    # A place tells whole seconds, so that an end may come before the start that it ended.
    late = end is not None and end.time > attempt.start.time - 1
    return end if end is not None and end.started and late else None


def over_at(attempts: Sequence[Attempt], attempt: Attempt, ends: Ends) -> float:
    """When an attempt was over: as it said, as its place saw it, or by its last sign of life.

    UTC epoch seconds. The last sign of life is a file's time, which is not the attempt's own where
    the job was imported: the next start bounds it.
    """
    if attempt.ended is not None:
        return attempt.ended
    if (end := seen_end(attempts, attempt, ends)) is not None:
        return max(end.time, attempt.start.time)
    later = [one.start.time for one in attempts if one.number > attempt.number]
    return min([attempt.heartbeat, *later])


def _devices(attempt: Attempt, member: Member) -> tuple[float, bool]:
    """How many devices a start had, and whether they are GPUs."""
    facts, resources = attempt.start.facts, member.resources
    hidden = facts.get("variables", {}).get("CUDA_VISIBLE_DEVICES") in NO_GPU
    gpus_here = bool(facts.get("gpus")) and not hidden
    count, gpu = devices_of(member.placement, resources, member.cluster, gpus_here=gpus_here)
    if gpu and member.cluster is not None:
        jobs = resources.jobs_per_allocation
        each = gpus_asked_per_node(member.cluster, resources, member.placement, jobs) / jobs
        return resources.nodes * each, gpu
    return count, gpu
