"""What one job is given on a cluster, and what never could be."""

from typing import Any

import pytest
from support.profiles import ALPHA, PLAIN

from orchestrator.config import ClusterProfile, Placement, Resources, refuse_on_cluster
from orchestrator.config.allotment import cpus_per_rank, gpus_per_node, partition_of, time_minutes


def refused(
    resources: dict[str, Any], placement: dict[str, Any] | None = None, **profile: Any
) -> list[str]:
    return refuse_on_cluster(
        ClusterProfile.from_plain({**PLAIN, **profile}),
        Resources.from_plain(resources),
        Placement.from_plain(placement or {}),
    )


def test_a_job_that_names_no_partition_runs_in_the_first() -> None:
    assert partition_of(ALPHA, Resources())[0] == "gpu"
    assert partition_of(ALPHA, Resources(partition="cpu"))[0] == "cpu"


@pytest.mark.parametrize(
    ("resources", "placement", "gpus"),
    [
        ({}, {}, 1),
        ({}, {"ranks": 4}, 4),
        ({"nodes": 2}, {"ranks": 4}, 2),
        ({}, {"ranks": 4, "device": "cpu"}, 0),
        ({"partition": "cpu"}, {"ranks": 4}, 0),
        ({"gpus_per_node": 0}, {"ranks": 4}, 0),
        ({"gpus_per_node": 4}, {"ranks": 4}, 4),
    ],
)
def test_a_rank_gets_one_gpu_where_there_are_some(
    resources: dict[str, Any], placement: dict[str, Any], gpus: int
) -> None:
    asked = Resources.from_plain(resources)

    assert gpus_per_node(ALPHA, asked, Placement.from_plain(placement)) == gpus


@pytest.mark.parametrize(
    ("resources", "cpus"),
    [
        ({}, 5),
        ({"cpus_per_rank": 7}, 7),
        ({"cpus_per_gpu": 6}, 6),
        ({"cpus_per_gpu": 6, "partition": "cpu"}, 5),
    ],
)
def test_a_rank_gets_a_cpu_for_each_thread_and_loader_unless_told(
    resources: dict[str, Any], cpus: int
) -> None:
    placement = Placement(threads_per_rank=2, loader_workers=3)

    assert cpus_per_rank(ALPHA, Resources.from_plain(resources), placement) == cpus


@pytest.mark.parametrize(
    ("resources", "limit"),
    [({}, 2880), ({"time": "1h30m"}, 90), ({"partition": "cpu"}, None)],
)
def test_the_time_asked_for_is_the_jobs_else_the_partitions(
    resources: dict[str, Any], limit: int | None
) -> None:
    assert time_minutes(ALPHA, Resources.from_plain(resources)) == limit


def test_what_stays_within_every_limit_is_taken() -> None:
    full = {"nodes": 2, "time": "2d", "mem_gb_per_node": 100, "cpus_per_gpu": 8}

    assert refused(full, {"ranks": 8}) == []
    assert refused({"partition": "cpu", "nodes": 9, "time": "90d", "mem_gb_per_node": 9e3}) == []


@pytest.mark.parametrize(
    ("resources", "placement", "words"),
    [
        ({"nodes": 3}, {"ranks": 3}, "3 nodes, but partition gpu of alpha has 2"),
        ({}, {"ranks": 8}, "8 GPUs per node for 8 rank(s) per node, but partition gpu of alpha"),
        ({"partition": "cpu", "gpus_per_node": 1}, {}, "1 GPUs per node for 1 rank(s) per node"),
        ({"cpus_per_rank": 17}, {"ranks": 2}, "34 CPUs per node for 2 rank(s) per node x 17"),
        (
            {"jobs_per_allocation": 10, "jobs_per_gpu": 2},
            {},
            "5 GPUs per node for 10 jobs (jobs_per_allocation) x 1 rank(s), but partition gpu",
        ),
        (
            {"jobs_per_allocation": 4, "cpus_per_rank": 9},
            {},
            "36 CPUs per node for 4 jobs (jobs_per_allocation) x 1 rank(s) x 9, but partition gpu",
        ),
        (
            {"jobs_per_allocation": 4, "mem_gb_per_node": 30},
            {},
            "120 GB of memory per node for 4 jobs (jobs_per_allocation) x 30, but partition gpu",
        ),
        ({"mem_gb_per_node": 100.5}, {}, "100.5 GB of memory per node, but partition gpu"),
        ({"time": "2d1m"}, {}, "time is 2d1m, but partition gpu of alpha ends a job after 2d"),
        ({"time": "2m"}, {}, "the time limit is 2m, but the profile of alpha stops workers 120 s"),
        ({"partition": "gpus"}, {}, "alpha there is no partition 'gpus'; nearest: gpu; known"),
        (
            {"partition": "cpu"},
            {"device": "cuda"},
            "device is cuda, but partition cpu of alpha has no GPUs",
        ),
    ],
)
def test_what_a_cluster_could_never_run_is_refused_with_the_numbers(
    resources: dict[str, Any], placement: dict[str, Any], words: str
) -> None:
    (problem,) = refused(resources, placement)

    assert words in problem


def test_memory_is_not_asked_for_where_a_site_forbids_it() -> None:
    (problem,) = refused({"mem_gb_per_node": 8}, ask_memory=False)

    assert problem.startswith("resources.mem_gb_per_node is 8, but alpha does not let jobs ask")


def test_every_limit_that_is_broken_is_told() -> None:
    problems = refused({"nodes": 3, "time": "3d", "mem_gb_per_node": 999}, {"ranks": 24})

    assert len(problems) == 4
