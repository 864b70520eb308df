"""Of each reason that is about a limit, the limit is told in numbers."""

import re
from pathlib import Path
from typing import Any

import pytest
from fakes.slurm import FakeSlurm, profile, submission

from orchestrator.controller.limits import ABOUT, limit_in_words
from orchestrator.executors.slurm_words import LIMITS, REASONS, reason_in_words

SITE = {
    "partitions": {"gpu": {"time": "2d", "gpus_per_node": 8}, "cpu": {}},
    "account": "proj42",
    "qos": "long",
}
CASES = {
    "JobArrayTaskLimit": "Limit: 1 of the 2 jobs of its submission run at once (max_parallel",
    "Priority": "Queue: 3 jobs and arrays of 2 user(s) wait in partition gpu; what asks for less",
    "Resources": "It asks for 2 node(s) with 1 GPU(s) each, for 36 h; partition gpu has 3 of 3",
    "AssocGrpGRES": "Limits of account proj42: GrpTRES gres/gpu=8 (of all jobs together).",
    "QOSMaxGRESPerUser": "Limits of QOS long: MaxTRESPU gres/gpu=16 (of a user's jobs together).",
}


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    made = FakeSlurm(tmp_path / "site", monkeypatch)
    made.answer("squeue", "ann", "bob", "ann")
    made.answer("sinfo", "gpu|up|2-00:00:00|3|64|512000|gpu:8|mix")
    return made


def told(reason: str, **changes: Any) -> list[str]:
    known: dict[str, Any] = {
        "cluster": profile(**SITE),
        "max_parallel": 1,
        "placement": {"ranks": 2},
        "resources": {"nodes": 2, "partition": "gpu", "time": "1d12h"},
    }
    return limit_in_words(submission("a", "b", **{**known, **changes}), reason_in_words(reason))


@pytest.mark.parametrize("reason", CASES)
def test_the_limit_behind_a_reason_is_told_in_numbers(slurm: FakeSlurm, reason: str) -> None:
    of_account = ("proj42||normal|||||gres/gpu=8||", "other||normal|||||gres/gpu=2||")
    of_qos = ("normal||||||||", "long|||gres/gpu=16|||||")
    slurm.answer("sacctmgr", *(of_account if reason.startswith("Assoc") else of_qos))

    (sentence,) = told(reason)

    assert sentence.startswith(CASES[reason])


@pytest.mark.parametrize("reason", ["BeginTime", "JobHeldUser", "NoSuchReason"])
@pytest.mark.usefixtures("slurm")
def test_of_other_reasons_nothing_more_is_told(reason: str) -> None:
    assert told(reason) == []


def test_where_slurm_does_not_say_nothing_is_told(slurm: FakeSlurm) -> None:
    for command in ("squeue", "sinfo", "sacctmgr"):
        slurm.answer(command, errors="Unable to contact slurm controller", code=1)

    assert [told(reason) for reason in CASES if reason != "JobArrayTaskLimit"] == [[]] * 4
    assert told("JobArrayTaskLimit", max_parallel=None) == []


def test_every_pattern_is_of_reasons_that_there_are() -> None:

    known = {*REASONS, *(f"{start}MaxJobsLimit" for start in LIMITS)}

    assert all(any(re.fullmatch(pattern, reason) for reason in known) for pattern in ABOUT)
