import pytest

from orchestrator.config import Placement, Resources
from orchestrator.executors.ray_share import Node, Share, refuse_share, share_of, this_machine

WITH_GPUS = (Node("n1", 16, 4, 64), Node("n2", 16, 4, 64))
WITHOUT = (Node("n1", 16, 0, 64),)


@pytest.mark.parametrize(
    ("resources", "placement", "gpus_there", "share"),
    [
        ({}, {}, False, Share(1, 1, 1, 0, None)),
        (
            {},
            {"ranks": 2, "threads_per_rank": 2, "loader_workers": 1},
            True,
            Share(1, 2, 6, 2, None),
        ),
        ({"cpus_per_rank": 4}, {"ranks": 2, "device": "cpu"}, True, Share(1, 2, 8, 0, None)),
        ({"cpus_per_gpu": 8}, {}, True, Share(1, 1, 8, 1, None)),
        ({"cpus_per_gpu": 8}, {}, False, Share(1, 1, 1, 0, None)),
        ({"gpus_per_node": 0}, {}, True, Share(1, 1, 1, 0, None)),
        ({"nodes": 2, "mem_gb_per_node": 8}, {"ranks": 4}, True, Share(2, 2, 2, 2, 8)),
        ({"jobs_per_allocation": 4, "jobs_per_gpu": 4}, {}, True, Share(1, 1, 1, 0.25, None)),
    ],
)
def test_a_job_asks_for_what_its_ranks_need_on_each_node(
    resources: dict[str, float], placement: dict[str, float], *, gpus_there: bool, share: Share
) -> None:
    asked = Resources.from_plain(resources), Placement.from_plain(placement)

    assert share_of(*asked, gpus_there=gpus_there) == share


def test_ray_is_asked_for_a_bundle_on_each_of_different_nodes() -> None:
    share = Share(2, 1, 4, 0.5, 8)

    assert share.bundles() == [{"CPU": 4.0, "GPU": 0.5, "memory": 8.0 * 2**30}] * 2
    assert (share.strategy, Share(1, 1, 1, 0, None).strategy) == ("STRICT_SPREAD", "STRICT_PACK")


@pytest.mark.parametrize(
    ("resources", "placement", "nodes", "words"),
    [
        ({"cpus_per_rank": 17}, {}, WITH_GPUS, "17 CPU(s) and 1 GPU(s) each"),
        ({}, {"ranks": 5}, WITH_GPUS, "n1: 16 CPU(s), 4 GPU(s), 64 GB; n2: 16 CPU(s)"),
        ({}, {"device": "cuda"}, WITHOUT, "but 0 node(s) of there have that much"),
        ({"nodes": 3}, {"ranks": 3}, WITH_GPUS, "3 node(s) with 1 CPU(s) and 1 GPU(s) each"),
        ({"mem_gb_per_node": 65}, {}, WITH_GPUS, "and 65 GB each"),
        (
            {"jobs_per_allocation": 2, "jobs_per_gpu": 2},
            {"ranks": 2},
            WITH_GPUS,
            "may give two of them parts of one and the same GPU",
        ),
    ],
)
def test_a_job_that_fits_nowhere_is_refused_with_both_numbers(
    resources: dict[str, float],
    placement: dict[str, float],
    nodes: tuple[Node, ...],
    words: str,
) -> None:
    asked = Resources.from_plain(resources), Placement.from_plain(placement)

    (refusal,) = refuse_share(*asked, nodes, "there")

    assert words in refusal


def test_a_job_that_fits_on_as_many_nodes_as_it_asks_for_is_not_refused() -> None:
    asked = Resources(nodes=2, gpus_per_node=4), Placement(ranks=8)

    assert refuse_share(*asked, WITH_GPUS, "there") == []


def test_inside_an_allocation_this_machine_has_what_slurm_granted() -> None:
    assert this_machine({"SLURM_CPUS_ON_NODE": "3"}).cpus == 3
    assert this_machine({}).cpus >= 1
