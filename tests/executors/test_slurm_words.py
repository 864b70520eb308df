from pathlib import Path

import pytest
from fakes.place import ELSEWHERE
from fakes.slurm import FakeSlurm, queue_line, submission, submitted

from orchestrator.executors.slurm import SlurmExecutor
from orchestrator.executors.slurm_words import (
    LIMITS,
    REASONS,
    STATES,
    SUBMIT_LIMITS,
    Limit,
    limit_in,
    reason_in_words,
)
from orchestrator.jobs.evidence import LATE_S, Sightings
from orchestrator.jobs.facts import Attempt, Ending, JobFacts, Member, Start
from orchestrator.jobs.orders import Standing
from orchestrator.jobs.rules import RULES
from orchestrator.jobs.state import JobStatus, State, status_of
from orchestrator.jobs.store import create_root

IN_THE_MANUAL = (
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "COMPLETING", "CONFIGURING", "DEADLINE", "FAILED"),
    *("NODE_FAIL", "OUT_OF_MEMORY", "PENDING", "PREEMPTED", "RUNNING", "RESV_DEL_HOLD"),
    *("REQUEUE_FED", "REQUEUE_HOLD", "REQUEUED", "RESIZING", "REVOKED", "SIGNALING"),
    *("SPECIAL_EXIT", "STAGE_OUT", "STOPPED", "SUSPENDED", "TIMEOUT"),
)
BEGAN, ENDED = 1_795_175_571, 1_795_175_700
S = State
WAITS, RUNS = (S.QUEUED, S.QUEUED), (S.RUNNING, S.RUNNING)
LOST = (S.PLANNED, S.PREEMPTED)
FOLLOWS = {
    # what a member without an attempt is, and one whose attempt says nothing of an end
    **dict.fromkeys(["BOOT_FAIL", "DEADLINE", "LAUNCH_FAILED", "NODE_FAIL", "PREEMPTED"], LOST),
    **dict.fromkeys(["RECONFIG_FAIL", "REVOKED", "TIMEOUT"], LOST),
    **dict.fromkeys(["PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD"], WAITS),
    **dict.fromkeys(["EXPEDITING", "SPECIAL_EXIT"], WAITS),
    **dict.fromkeys(["RUNNING", "COMPLETING", "CONFIGURING", "POWER_UP_NODE", "RESIZING"], RUNS),
    **dict.fromkeys(["SIGNALING", "STAGE_OUT", "STOPPED", "SUSPENDED"], RUNS),
    "CANCELLED": (S.CANCELLED, S.CANCELLED),
    "COMPLETED": (S.PLANNED, S.FAILED),
    "FAILED": (S.FAILED, S.FAILED),
    "OUT_OF_MEMORY": (S.FAILED, S.FAILED),
}
CODES = {"FAILED": "256", "OUT_OF_MEMORY": "125", "PREEMPTED": "15", "CANCELLED": "15"}
"""As wait(2) gives them."""


def statuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, attempt: bool, ending: Ending | None = None
) -> dict[str, JobStatus]:
    """What a job is, by the state that SLURM tells of its only member."""
    root, slurm = create_root(tmp_path / "runs"), FakeSlurm(tmp_path, monkeypatch)
    one = submitted(root, submission(*FOLLOWS))
    times = {"StartTime": f"{BEGAN}", "EndTime": f"{ENDED}", "NodeList": "node1"}
    lines = [
        queue_line(one, n, word, exit_code=CODES.get(word, "0"), **times)
        for n, word in enumerate(FOLLOWS)
    ]
    slurm.answer("squeue", *lines)
    seen = SlurmExecutor(root).observe([one]).seen
    return {
        word: _status(word, n, one.token, seen, attempt=attempt, ending=ending)
        for n, word in enumerate(FOLLOWS)
    }


def _status(
    job: str, index: int, token: str, seen: Sightings, *, attempt: bool, ending: Ending | None
) -> JobStatus:
    start = Start(token, index, 0, BEGAN + 5, ELSEWHERE, "node1", "c0de", {})
    attempts = (Attempt(1, start, -1, ending, 7, (), ENDED - 10, None),) if attempt else ()
    member = Member(token, index, "slurm", BEGAN, "7@alpha", refused=False, end=None, restarts=True)
    return status_of(JobFacts(job, attempts, (member,)), Standing(), seen, ENDED + LATE_S)


def test_every_state_of_the_manual_has_a_meaning_and_the_table_here_walks_them_all() -> None:
    assert len(IN_THE_MANUAL) == 24
    assert set(IN_THE_MANUAL) <= STATES.keys() == FOLLOWS.keys()


def test_a_kind_that_slurm_names_is_one_that_has_a_rule() -> None:
    assert {meaning.kind for meaning in STATES.values()} - {""} == {"memory"} <= RULES.keys()


@pytest.mark.parametrize("attempt", [False, True], ids=["no attempt", "an attempt cut off"])
def test_what_slurm_says_of_a_member_decides_what_its_job_is_and_if_a_watch_submits_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, attempt: bool
) -> None:
    found = statuses(tmp_path, monkeypatch, attempt=attempt)

    assert {word: one.state for word, one in found.items()} == {
        word: states[attempt] for word, states in FOLLOWS.items()
    }
    due = {word for word, one in found.items() if one.due}
    lost = {word for word, states in FOLLOWS.items() if states is LOST}
    assert due == (lost if attempt else lost | {"COMPLETED"})
    assert found["OUT_OF_MEMORY"].reason == "out of memory on its node (OUT_OF_MEMORY on node1)"
    assert found["CANCELLED"].reason == "cancelled with scancel (CANCELLED on node1)"


def test_what_an_attempt_says_of_its_own_end_counts_more_than_slurms_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished = statuses(tmp_path / "a", monkeypatch, attempt=True, ending=Ending.FINISHED)
    stopped = statuses(tmp_path / "b", monkeypatch, attempt=True, ending=Ending.STOPPED)
    raised = statuses(tmp_path / "c", monkeypatch, attempt=True, ending=Ending.ERROR)

    assert {one.state for one in finished.values()} == {S.DONE}
    for word in ("PREEMPTED", "TIMEOUT", "NODE_FAIL", "FAILED", "COMPLETED"):
        assert (stopped[word].state, stopped[word].due) == (S.PREEMPTED, True)
        assert raised[word].state is S.FAILED
    assert stopped["PENDING"].state is S.QUEUED
    assert stopped["CANCELLED"].state is S.CANCELLED


def test_every_reason_is_one_word_of_slurm() -> None:
    assert [word for word in {**REASONS, **LIMITS} if not word.isidentifier()] == []
    assert all(REASONS.values())


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("Priority", "Priority: others in the queue come first"),
        (
            "ReqNodeNotAvail, UnavailableNodes:node[3-4]",
            "ReqNodeNotAvail: {ReqNodeNotAvail} (UnavailableNodes:node[3-4])",
        ),
        ("AssocGrpBillingRunMinutes", "AssocGrpBillingRunMinutes: {Assoc}"),
        ("QOSMaxNodePerUserLimit", "QOSMaxNodePerUserLimit: {QOS}"),
        ("MaxTRESPerAccount", "MaxTRESPerAccount: {MaxTRES}"),
        ("job requeued in held state", "job_requeued_in_held_state: {job_requeued_in_held_state}"),
        ("NewInSlurm31", "NewInSlurm31"),
        ("NewInSlurm31, it says more", "NewInSlurm31 (it says more)"),
        ("", ""),
    ],
)
def test_a_reason_is_slurms_word_then_ours_then_what_slurm_says_more(
    reason: str, words: str
) -> None:
    assert reason_in_words(reason) == words.format(**REASONS, **LIMITS)


def test_a_reason_with_words_of_its_own_is_not_told_by_its_beginning() -> None:
    assert all(reason_in_words(word) == f"{word}: {text}" for word, text in REASONS.items())


POLICY = "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
FAILED = "sbatch: error: Batch job submission failed: "
# As SLURM 22.05 and its sources say it: what it names, then what it says of every such limit.
SAID = {
    f"sbatch: error: AssocMaxSubmitJobLimit\n{FAILED}{POLICY}": Limit.OWN,
    f"sbatch: error: QOSMaxSubmitJobPerUserLimit\n{FAILED}{POLICY}": Limit.OWN,
    f"sbatch: error: AssocMaxSubmitJobLimit\nallocation failure: {POLICY}": Limit.OWN,
    f"{FAILED}{POLICY}": Limit.OWN,
    f"sbatch: error: AssocGrpSubmitJobsLimit\n{FAILED}{POLICY}": Limit.SHARED,
    f"sbatch: error: QOSGrpSubmitJobsLimit\n{FAILED}{POLICY}": Limit.SHARED,
    f"sbatch: error: MaxSubmitJobsPerAccount\n{FAILED}{POLICY}": Limit.SHARED,
    "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying": Limit.BUSY,
    f"{FAILED}Resource temporarily unavailable": Limit.BUSY,
    f"{FAILED}MaxJobCount limit reached": Limit.BUSY,
    f"{FAILED}Rate limit exceeded, please retry later": Limit.BUSY,
    "sbatch: error: Slurm job queue full, sleeping and retrying": Limit.BUSY,
    f"sbatch: error: QOSMaxCpuPerJobLimit\n{FAILED}{POLICY}": None,
    f"sbatch: error: MaxGRESPerJob\n{FAILED}{POLICY}": None,
    f"sbatch: error: AssocMaxWallDurationPerJobLimit\n{FAILED}{POLICY}": None,
    f"{FAILED}Requested time limit is invalid (missing or exceeds some limit)": None,
    f"{FAILED}Invalid account or account/partition combination specified": None,
}


@pytest.mark.parametrize("words", SAID)
def test_that_slurm_is_full_is_told_from_a_job_that_it_will_never_take(words: str) -> None:
    found = limit_in(" ".join(words.split()))

    assert (found and found[0]) == SAID[words]


def test_every_row_of_limits_is_needed_for_something_that_slurm_says() -> None:
    for row in SUBMIT_LIMITS:
        others = [one for one in SUBMIT_LIMITS if one is not row]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("orchestrator.executors.slurm_words.SUBMIT_LIMITS", others)
            told = {words: (found := limit_in(words)) and found[0] for words in SAID}
        assert told != SAID, row
