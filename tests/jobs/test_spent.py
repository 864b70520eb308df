from dataclasses import replace
from typing import Any

import pytest

from orchestrator.config import ClusterProfile, Placement, Resources
from orchestrator.jobs.facts import Attempt, End, Ending, JobFacts, Member, Start
from orchestrator.jobs.spent import Spent, spent_on

HOUR = 3600.0
ALPHA = ClusterProfile.from_plain(
    {"name": "alpha", "partitions": {"gpu": {"gpus_per_node": 8}, "cpu": {}}}
)
CPU = Placement(device="cpu", threads_per_rank=3)
MEMBER = Member("t", 0, "local", 0.0, handle="h", refused=False, end=None, placement=CPU)


def attempt(number: int = 1, *, began: float = 0.0, beat: float = 1.0, **more: Any) -> Attempt:
    """Times in hours."""
    start = Start("t", 0, number - 1, began * HOUR, "", "here", "c0de", more.pop("facts", {}))
    known: dict[str, Any] = {"from_step": -1, "ending": None, "step": 5, "errors": ()}
    return Attempt(number, start, heartbeat=beat * HOUR, running=None, **{**known, **more})


def spent(*attempts: Attempt, **member: Any) -> Spent:
    return spent_on(JobFacts("j", attempts, (replace(MEMBER, **member),)))


def test_a_start_counts_to_its_own_end_else_to_its_last_heartbeat() -> None:
    assert spent(attempt(beat=2)) == Spent(cpu_hours=6)
    assert spent(attempt(beat=900, ended=HOUR, ending=Ending.FINISHED)) == Spent(cpu_hours=3)


def test_what_else_is_known_bounds_file_times_which_an_import_makes_anew() -> None:
    first, second = attempt(beat=900), attempt(2, began=2, beat=900)

    assert spent(first, second, end=End(3 * HOUR, started=True)) == Spent(cpu_hours=2 * 3 + 3)


def test_clocks_that_differ_make_no_negative_hours() -> None:
    assert spent(attempt(began=2, beat=1)) == Spent()


def test_starts_that_failed_or_were_discarded_count_too() -> None:
    failed = attempt(ended=HOUR, ending=Ending.ERROR, discarded=True)

    assert spent(failed, attempt(2, began=5, beat=6)) == Spent(cpu_hours=6)


@pytest.mark.parametrize(
    ("placement", "resources", "cluster", "facts", "expected"),
    [
        (Placement(ranks=4), Resources(nodes=2), ALPHA, {}, Spent(gpu_hours=4)),
        (Placement(ranks=2), Resources(partition="cpu"), ALPHA, {}, Spent(cpu_hours=2)),
        (
            Placement(),
            Resources(jobs_per_allocation=4, jobs_per_gpu=2),
            ALPHA,
            {},
            Spent(gpu_hours=0.5),
        ),
        (Placement(ranks=2, device="cuda"), Resources(), None, {}, Spent(gpu_hours=2)),
        (Placement(ranks=2), Resources(), None, {"gpus": 8}, Spent(gpu_hours=2)),
        (Placement(ranks=2), Resources(), None, {"gpus": 0}, Spent(cpu_hours=2)),
        (Placement(ranks=2), Resources(), None, {}, Spent(cpu_hours=2)),
        (
            Placement(),
            Resources(),
            None,
            {"gpus": 8, "variables": {"CUDA_VISIBLE_DEVICES": ""}},
            Spent(cpu_hours=1),
        ),
        (Placement(device="cpu"), Resources(), None, {"gpus": 8}, Spent(cpu_hours=1)),
    ],
)
def test_devices_are_the_gpus_that_a_start_had_or_else_its_cores(
    placement: Placement,
    resources: Resources,
    cluster: ClusterProfile | None,
    facts: dict[str, Any],
    expected: Spent,
) -> None:
    how = {"placement": placement, "resources": resources, "cluster": cluster}

    assert spent(attempt(facts=facts), **how) == expected


def test_a_start_of_an_unknown_submission_counts_nothing() -> None:
    assert spent(attempt(), index=7) == Spent()
