from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from orchestrator.config import ClusterProfile, Resources
from orchestrator.config.rules import Action, Kind
from orchestrator.jobs.facts import End, JobFacts, Member
from orchestrator.jobs.orders import Standing
from orchestrator.jobs.rules import (
    ADVICE,
    AGAIN,
    MEMORY,
    NODE,
    RULES,
    STOP,
    TIME,
    can_help,
    rule_of,
    with_more,
)
from orchestrator.jobs.state import JobStatus, status_of

DESIGN = Path(__file__).parents[2] / "docs" / "design.md"


def site(**changes: Any) -> ClusterProfile:
    partition = {"time": "12h", "mem_gb_per_node": 64}
    return ClusterProfile.from_plain(
        {"name": "alpha", "partitions": {"cpu": partition, "vague": {}}, **changes}
    )


def test_every_kind_that_a_site_may_name_has_a_rule_and_advice_and_no_other_has() -> None:
    assert {*get_args(Kind)} == RULES.keys() == ADVICE.keys()


def test_the_design_page_has_the_rule_of_every_kind() -> None:
    told = {
        f"| `{kind}` | {rule.retries} | {rule.back_off_s:g} | {rule.action} | {rule.meaning} |"
        for kind, rule in RULES.items()
    }

    assert told <= {*DESIGN.read_text().splitlines()}


@pytest.mark.parametrize("kind", RULES)
def test_a_site_that_says_nothing_of_a_kind_keeps_its_rule(kind: str) -> None:
    assert rule_of(kind) == rule_of(kind, site()) == RULES[kind]
    assert (RULES[kind].action is STOP) is (RULES[kind].retries == 0)


@pytest.mark.parametrize(
    ("kind", "said", "changes"),
    [
        ("gpu", {"retries": 7}, {"retries": 7}),
        ("gpu", {"back_off_s": 5.0}, {"back_off_s": 5.0}),
        ("memory", {"action": "again"}, {"action": AGAIN}),
        ("exception", {"retries": 2}, {"retries": 2, "action": AGAIN}),
        ("gpu", {"action": "stop"}, {"action": STOP, "retries": 0}),
        ("exception", {"action": "stop", "retries": 2}, {}),
        ("killed", {"retries": 0}, {"retries": 0}),
    ],
)
def test_a_site_changes_what_it_names_of_a_rule_and_no_more(
    kind: str, said: dict[str, Any], changes: dict[str, Any]
) -> None:
    other = site(reasons={kind: said})

    assert rule_of(kind, other) == replace(RULES[kind], **changes)
    assert all(rule_of(one, other) == RULES[one] for one in RULES if one != kind)


def test_more_memory_is_half_as_much_again_up_to_what_a_node_has() -> None:
    had = [Resources(mem_gb_per_node=16)]
    for _ in range(5):
        had.append(with_more(had[0], [(MEMORY, one) for one in had], site()))

    assert [one.mem_gb_per_node for one in had] == [16, 24, 36, 54, 64, 64]
    shared = Resources(mem_gb_per_node=12, jobs_per_allocation=4)
    assert with_more(shared, [(MEMORY, shared)], site()).mem_gb_per_node == 64 / 4


def test_more_time_is_twice_as_much_up_to_what_the_partition_grants() -> None:
    had = [Resources(time="2h")]
    for _ in range(4):
        had.append(with_more(had[0], [(TIME, one) for one in had], site()))

    assert [one.time for one in had] == ["2h", "240m", "480m", "720m", "720m"]


def test_what_a_person_asks_for_beyond_what_was_lacked_is_asked_for_as_it_is() -> None:
    lacked = [(MEMORY, Resources(mem_gb_per_node=10)), (TIME, Resources(time="1h"))]

    assert with_more(Resources(mem_gb_per_node=32, time="3h"), lacked, site()) == Resources(
        mem_gb_per_node=32, time="3h"
    )
    assert with_more(Resources(mem_gb_per_node=12, time="1h"), lacked, site()) == Resources(
        mem_gb_per_node=15, time="120m"
    )


@pytest.mark.parametrize(
    ("asked", "cluster"),
    [
        (Resources(mem_gb_per_node=16, time="2h"), None),
        (Resources(mem_gb_per_node=16, time="2h", partition="vague"), site()),
        (Resources(mem_gb_per_node=16, time="2h", partition="gone"), site()),
        (Resources(), site()),
        (Resources(mem_gb_per_node=64, time="12h"), site()),
    ],
    ids=["no cluster", "limits unknown", "partition unknown", "asked for none", "all of it"],
)
def test_where_no_more_is_known_to_be_had_none_is_asked_for(
    asked: Resources, cluster: ClusterProfile | None
) -> None:
    assert with_more(asked, [(MEMORY, asked), (TIME, asked)], cluster) == asked
    assert [can_help(action, asked, cluster) for action in Action] == [
        action in (AGAIN, NODE) for action in Action
    ]


def failed(cluster: ClusterProfile | None, *ends: End) -> JobStatus:
    """The status of a job of 16 GB and 2 h, whose starts ended so."""
    asked = Resources(mem_gb_per_node=16, time="2h")
    members = [
        Member(
            f"t{n}", 0, "slurm", n, "h", refused=False, end=how, resources=asked, cluster=cluster
        )
        for n, how in enumerate(ends)
    ]
    return status_of(JobFacts("j", (), tuple(members)), Standing(), {}, 10_000.0)


OUT_OF_MEMORY = End(5.0, started=True, kind="memory", node="n1")
BROKEN_GPU = End(5.0, started=True, exit_code=1, detail="CUDA error: unspecified launch failure")


def test_a_start_that_lacked_memory_is_followed_by_one_that_has_more() -> None:
    once, twice = failed(site(), OUT_OF_MEMORY), failed(site(), *[OUT_OF_MEMORY] * 2)

    assert (once.due, [action for action, _ in once.lacked]) == (True, [MEMORY])
    assert (twice.due, [had.mem_gb_per_node for _, had in twice.lacked]) == (True, [16, 16])
    assert failed(site(), *[OUT_OF_MEMORY] * 3).given_up


def test_a_start_that_lacked_memory_is_not_repeated_where_no_more_can_be_had() -> None:
    status = failed(None, OUT_OF_MEMORY)

    assert (status.kind, status.given_up) == ("memory", True)


def test_a_start_on_a_node_that_failed_is_followed_by_one_elsewhere() -> None:
    ends = [replace(BROKEN_GPU, node="n1"), replace(BROKEN_GPU, node="n3")]

    assert failed(site(), *ends).avoid == ("n1", "n3")
    assert failed(site(reasons={"gpu": {"action": "again"}}), *ends).avoid == ()
    assert failed(site(), replace(BROKEN_GPU, node="n1"), OUT_OF_MEMORY).avoid == ("n1",)
