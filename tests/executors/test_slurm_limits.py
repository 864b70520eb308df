import pytest
from fakes.slurm import submission
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.executors.slurm_limits import (
    shared_out,
    within_budget,
    within_limits,
    within_rooms,
)
from orchestrator.jobs.submissions import Submission

sizes = st.lists(st.integers(1, 40), min_size=1, max_size=6)
limits = st.none() | st.integers(0, 60)


def drafts(sizes: list[int]) -> list[Submission]:
    return [
        submission(*(f"{number}-{member}" for member in range(size)))
        for number, size in enumerate(sizes)
    ]


def jobs(submissions: list[Submission]) -> list[str]:
    return [job for one in submissions for job in one.jobs]


@given(sizes, st.integers(1, 50), limits, limits)
def test_what_is_taken_keeps_every_limit_and_the_order_and_loses_or_doubles_nothing(
    sizes: list[int], max_array: int, room: int | None, parallel: int | None
) -> None:
    whole = drafts(sizes)

    taken = within_limits(whole, max_array=max_array, room=room, parallel=parallel)

    members = jobs(taken)
    assert members == jobs(whole)[: len(members)]
    assert all(one.jobs == one.names and 1 <= len(one.jobs) <= max_array for one in taken)
    assert len({one.token for one in taken}) == len(taken)
    if room is not None:
        assert len(members) <= room
    if parallel is not None:
        throttles = [one.max_parallel or 0 for one in taken]
        assert sum(throttles) <= parallel
        assert all(1 <= t <= len(one.jobs) for t, one in zip(throttles, taken, strict=True))
    if parallel is None:
        assert len(members) == min(len(jobs(whole)), len(jobs(whole)) if room is None else room)
        assert {one.max_parallel for one in taken} <= {None}


@given(sizes, st.integers(0, 100))
def test_all_places_are_shared_out_as_far_as_there_are_members(sizes: list[int], more: int) -> None:
    total = len(sizes) + more
    shares = shared_out(total, sizes)

    assert sum(shares) == min(total, sum(sizes))
    assert all(1 <= share <= size for share, size in zip(shares, sizes, strict=True))


def test_the_rest_goes_to_whoever_has_most_members_a_place() -> None:
    assert shared_out(8, [10, 30, 2]) == [2, 5, 1]
    assert shared_out(2, []) == []


@pytest.mark.parametrize("parallel", [0, -3])
def test_where_earlier_submissions_use_up_the_places_nothing_is_taken(parallel: int) -> None:
    assert within_limits(drafts([3]), max_array=9, room=None, parallel=parallel) == []


def test_a_submission_that_fits_stays_what_it_is() -> None:
    whole = drafts([3, 2])

    assert within_limits(whole, max_array=3, room=5, parallel=None) == whole
    assert [one.names for one in within_limits(whole, max_array=2, room=4, parallel=None)] == [
        ["0-0", "0-1"],
        ["0-2"],
        ["1-0"],
    ]


def packed(count: int, places: int, **changes: object) -> Submission:
    resources = {"partition": "gpu", "jobs_per_allocation": places, "jobs_per_gpu": 2}
    names = [str(number) for number in range(count)]
    return submission(*names, placement={}, resources=resources, **changes)


@given(st.integers(1, 40), st.integers(2, 8), st.none() | st.integers(1, 50))
def test_allocations_have_places_for_all_jobs_that_may_run_at_once_and_for_no_more(
    count: int, places: int, most: int | None
) -> None:
    one = packed(count, places, max_parallel=most)
    held = one.places * one.allocations

    assert 1 <= one.places <= min(places, count)
    if most is not None:
        assert held <= max(most, one.places)
        assert one.places <= most
    else:
        assert count <= held < count + one.places


def test_slurm_counts_allocations_and_a_sweep_counts_jobs() -> None:
    one = packed(10, 4)  # 4 + 4 + 2 jobs; an allocation of 4 has 2 GPUs

    def sizes(taken: list[Submission]) -> list[int]:
        return [len(part.jobs) for part in taken]

    assert sizes(within_limits([one], max_array=99, room=2, parallel=None)) == [8]
    assert sizes(within_limits([one], max_array=2, room=None, parallel=None)) == [8, 2]
    assert sizes(within_limits([one, one], max_array=99, room=4, parallel=None)) == [10, 4]
    assert sizes(within_rooms([one], {"gpu": 1})) == [4]
    assert sizes(within_budget([one], 5)) == [8]
    (part,) = within_limits([one], max_array=99, room=None, parallel=3)
    assert (part.places, part.allocations) == (3, 1)
