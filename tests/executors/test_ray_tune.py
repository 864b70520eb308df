"""Ray as a place, as far as no Ray is needed: what is seen of members, what is handed over."""

import json
import os
import time
from dataclasses import replace

import pytest
from fakes.place import ELSEWHERE, attempt
from support.pool_bench import Bench

from orchestrator.config import RaySite
from orchestrator.controller.launch import launch
from orchestrator.controller.watch import tend
from orchestrator.executors import ray_tune
from orchestrator.executors.ray_share import Node
from orchestrator.executors.ray_tune import RayExecutor
from orchestrator.jobs.facts import Ending
from orchestrator.jobs.processes import process
from orchestrator.jobs.submissions import Submission, write_intent

DRIVERS = {"elsewhere": ELSEWHERE, "gone": str(process(2**22))}
"""A process that cannot be seen from here, and one of this machine that has ended."""
NOBODY = RaySite(address="127.0.0.1:1")


def driven(bench: Bench, driver: str, *, silent_s: float) -> Submission:
    """A submission whose driver has started the first of two members, on another machine."""
    submission = bench.draft("a", "b", executor="ray", ray=NOBODY)
    log = write_intent(bench.root, submission, "").pool
    lines = [{"pool": driver, "t": 1.0}, {"start": 0, "process": ELSEWHERE, "gpus": [], "t": 2.0}]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    os.utime(log, (time.time() - silent_s,) * 2)
    return submission


@pytest.mark.parametrize(
    ("driver", "silent_s", "beat_s", "ending", "sights"),
    [
        ("elsewhere", 10, 400, None, ["running", "waiting"]),
        ("elsewhere", 310, 2, None, ["running", "ended"]),
        ("elsewhere", 310, 310, None, ["ended", "ended"]),
        ("elsewhere", 310, 2, Ending.STOPPED, ["ended", "ended"]),
        ("gone", 100, 2, None, ["running", "ended"]),
        ("gone", 100, 310, None, ["ended", "ended"]),
        ("gone", 1, 2, Ending.STOPPED, ["ended", "ended"]),
    ],
)
def test_a_driver_that_is_gone_or_silent_says_nothing_of_a_member_whose_attempt_is_live(
    bench: Bench,
    *,
    driver: str,
    silent_s: float,
    beat_s: float,
    ending: Ending | None,
    sights: list[str],
) -> None:
    submission = driven(bench, DRIVERS[driver], silent_s=silent_s)
    own = attempt(bench.root, submission.jobs[0], submission, ending=ending)
    os.utime(own.started, (time.time() - beat_s,) * 2)

    seen = RayExecutor(bench.root).observe([submission]).seen

    assert [seen[submission.token, index].sight for index in (0, 1)] == sights


def test_while_nobody_listens_at_a_clusters_address_nothing_is_handed_over(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RayExecutor, "check", lambda *_: [])  # it ended after that
    sweep = replace(bench.load("a", "b"), executor="ray")

    launched = launch(sweep, root_path=bench.root.path, data_root=bench.data, ray=NOBODY)
    found = tend(bench.root, "s")

    words = "no Ray cluster answers at 127.0.0.1:1"
    assert (len(launched.later), launched.why_later.startswith(words)) == (2, True)
    assert found.notes[0].startswith(words)
    assert found.notes[0].endswith("2 wait for room")
    assert bench.root.submissions() == []


def test_a_cluster_is_asked_once_by_each_verb_and_anew_by_the_next(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def nodes_of(address: str) -> list[Node]:
        asked.append(address)
        return [Node("n1", 4.0 if len(asked) > 1 else 0.5, 0, 8)]

    monkeypatch.setattr(ray_tune, "nodes_of", nodes_of)
    draft = bench.draft("a", executor="ray", ray=NOBODY)
    verb = RayExecutor(bench.root)

    small = [verb.check(draft) for _ in range(2)]
    large = RayExecutor(bench.root).check(draft)

    assert small[0] == small[1]
    assert "CPU" in small[0][0]
    assert (large, len(asked)) == ([], 2)
