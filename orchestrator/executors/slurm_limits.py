"""Keeping within a cluster's limits: what of several submissions may be handed over now."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from orchestrator.config.allotment import gpus_asked_per_node, partition_of
from orchestrator.jobs.submissions import Submission, allocations_for


def within_budget(submissions: Sequence[Submission], free: int) -> list[Submission]:
    """As many members, in this order, as ``free`` GPUs suffice for; those without any all pass."""
    return _as_far_as(submissions, {"": free}, of=lambda _: "", each=gpus_of_allocation)


def within_rooms(submissions: Sequence[Submission], rooms: Mapping[str, int]) -> list[Submission]:
    """As many members as there is room for in their partitions; others are not limited.

    Rooms are counted as SLURM counts, in allocations.
    """
    return _as_far_as(submissions, rooms, of=partition_name, each=lambda _: 1)


def gpus_of_allocation(submission: Submission) -> int:
    """What one allocation asks for on all its nodes; nothing where there is no cluster."""
    if submission.cluster is None:
        return 0
    asked = submission.cluster, submission.resources, submission.placement
    return submission.resources.nodes * gpus_asked_per_node(*asked, submission.places)


def partition_name(submission: Submission) -> str:
    """The partition its members run in."""
    assert submission.cluster is not None
    return partition_of(submission.cluster, submission.resources)[0]


def within_limits(
    submissions: Sequence[Submission],
    *,
    max_array: int,
    room: int | None,
    parallel: int | None,
) -> list[Submission]:
    """The submissions, cut into arrays that SLURM takes, as many members as there is room for.

    Args:
        submissions: in the order in which they should run.
        max_array: allocations of the largest array.
        room: allocations that may join the queue; None: any number.
        parallel: members of all of them that may run at once, shared out among the arrays by their
            sizes; None: SLURM decides.
    """
    arrays = list(_arrays(submissions, max_array, room))
    if parallel is None:
        return arrays
    arrays = arrays[: max(0, parallel)]
    shares = shared_out(parallel, [len(array.jobs) for array in arrays])
    return [
        array.model_copy(update={"max_parallel": share})
        for array, share in zip(arrays, shares, strict=True)
    ]


def shared_out(total: int, sizes: Sequence[int]) -> list[int]:
    """``total`` places among arrays: one each, the rest to whoever has most members a place."""
    shares = [1] * len(sizes)
    for _ in range(total - len(sizes)):
        wanting = [n for n, size in enumerate(sizes) if shares[n] < size]
        if not wanting:
            break
        neediest = max(wanting, key=lambda n: sizes[n] / shares[n])
        shares[neediest] += 1
    return shares


def _as_far_as(
    submissions: Sequence[Submission],
    rooms: Mapping[str, int],
    *,
    of: Callable[[Submission], str],
    each: Callable[[Submission], int],
) -> list[Submission]:
    """The submissions, cut where a room is used up; who comes later does not overtake.

    ``of`` names the room that a submission's allocations need, ``each`` how much of it one of them.
    """
    left, taken = dict(rooms), []
    for submission in submissions:
        room, need, members = of(submission), each(submission), len(submission.jobs)
        if room in left and need:
            fitting = max(0, left[room]) // need
            members = min(members, fitting * submission.jobs_each)
            whole = members == len(submission.jobs)
            asked = allocations_for(members, submission.jobs_each)
            left[room] = left[room] - asked * need if whole else 0
        if members:
            taken.append(submission.part(0, members))
    return taken


def _arrays(
    submissions: Sequence[Submission], max_array: int, room: int | None
) -> Iterator[Submission]:
    for submission in submissions:
        each, members = submission.jobs_each, len(submission.jobs)
        if room is not None:
            members = min(room * each, members)
            room -= allocations_for(members, each)
        for first in range(0, members, max_array * each):
            yield submission.part(first, min(members, first + max_array * each))
