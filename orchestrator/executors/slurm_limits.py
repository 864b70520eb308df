"""Keeping within a cluster's limits: what of several submissions may be handed over now."""

from collections.abc import Iterator, Sequence

from orchestrator.jobs.submissions import Submission


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
        max_array: members of the largest array.
        room: members that may join the queue; None: any number.
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


def _arrays(
    submissions: Sequence[Submission], max_array: int, room: int | None
) -> Iterator[Submission]:
    for submission in submissions:
        members = len(submission.jobs) if room is None else min(room, len(submission.jobs))
        for first in range(0, members, max_array):
            yield submission.part(first, min(members, first + max_array))
        if room is not None:
            room -= members
