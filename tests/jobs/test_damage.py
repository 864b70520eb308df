"""What has started and is gone or damaged has a fault, and a state in which nobody submits it."""

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.place import attempt
from fakes.slurm import submission

from orchestrator.config import RunConfig
from orchestrator.jobs.evidence import LIVE_S, Sight, Sighting
from orchestrator.jobs.facts import End, Ending, JobFacts
from orchestrator.jobs.gather import Beside, gather
from orchestrator.jobs.identity import job_id
from orchestrator.jobs.layout import JobFolder, Root
from orchestrator.jobs.orders import NO_ORDERS, Order, standing_orders
from orchestrator.jobs.records import write_job
from orchestrator.jobs.state import RESTORE, State, status_of
from orchestrator.jobs.submissions import Submission, write_intent, write_outcomes, write_submitted

CONFIG = RunConfig.from_plain({"data": {"name": "digits"}})
JOB = job_id(CONFIG)
WELL = {"index": 0, "time": 9.0, "started": True, "exit_code": 0}


@pytest.fixture
def one(root: Root) -> Submission:
    """A submission of the job, which its place took."""
    write_job(root, JOB, CONFIG)
    made = submission(JOB)
    write_submitted(write_intent(root, made, ""), "h")
    return made


def facts(root: Root, one: Submission, *, seen: End | None = None) -> JobFacts:
    ends = {(one.token, 0): seen} if seen else {}
    return gather(root, [JOB], [one], Beside(seen=ends))[JOB]


def ends(root: Root, one: Submission, **how: Any) -> None:
    write_outcomes(root.submission(one.token), [{**WELL, **how}])


def silent(folder: JobFolder) -> None:
    for path in folder.attempts.glob("*/*.json*"):
        os.utime(path, (time.time() - LIVE_S - 60,) * 2)


def edited(folder: JobFolder) -> None:
    record = json.loads(folder.record.read_bytes())
    record["reduced"]["optim.lr"] = 0.5
    folder.record.write_text(json.dumps(record))


def anothers(folder: JobFolder) -> None:
    other = RunConfig.from_plain({"data": {"name": "digits"}, "seed": 7})
    root = Root(folder.path.parents[2])
    write_job(root, job_id(other), other)
    shutil.copyfile(root.job(job_id(other)).record, folder.record)


DAMAGES: dict[str, Callable[[JobFolder], object]] = {
    "its folder is gone": lambda folder: shutil.rmtree(folder.path),
    "its job.json is gone": lambda folder: folder.record.unlink(),
    "its job.json is damaged": lambda folder: folder.record.write_bytes(b"{"),
    "its job.json is of another configuration": edited,
}


@pytest.mark.parametrize("fault", DAMAGES)
def test_a_job_that_failed_and_whose_record_is_not_its_own_any_more_has_a_fault(
    root: Root, one: Submission, fault: str
) -> None:
    attempt(root, JOB, one, ending=Ending.ERROR)
    ends(root, one, exit_code=1)
    assert facts(root, one).fault == ""
    DAMAGES[fault](root.job(JOB))

    status = status_of(facts(root, one), NO_ORDERS, {}, time.time())
    assert (status.state, status.due) == (State.UNKNOWN, False)
    assert status.reason == f"{fault}; {RESTORE}"


@pytest.mark.parametrize("spoil", [edited, anothers])
def test_a_result_that_may_be_another_jobs_is_none(
    root: Root, one: Submission, spoil: Callable[[JobFolder], None]
) -> None:
    attempt(root, JOB, one, ending=Ending.FINISHED)
    spoil(root.job(JOB))

    assert status_of(facts(root, one), NO_ORDERS, {}, time.time()).state is State.UNKNOWN


@pytest.mark.parametrize("damage", ["its job.json is gone", "its job.json is damaged"])
def test_a_done_job_stays_so_without_its_record(root: Root, one: Submission, damage: str) -> None:
    attempt(root, JOB, one, ending=Ending.FINISHED)
    DAMAGES[damage](root.job(JOB))

    assert status_of(facts(root, one), NO_ORDERS, {}, time.time()).state is State.DONE


@pytest.mark.parametrize("stored", [True, False], ids=["a stored end", "a seen end"])
@pytest.mark.parametrize("content", [None, b"", b'{"end": "fini'])
def test_a_member_that_ended_well_without_saying_how_is_not_trained_again(
    root: Root, one: Submission, content: bytes | None, *, stored: bool
) -> None:
    folder = attempt(root, JOB, one)
    if content is not None:
        folder.exit.write_bytes(content)
    silent(root.job(JOB))
    if stored:
        ends(root, one)
    found = facts(root, one, seen=None if stored else End(9.0, started=True, exit_code=0))

    assert found.fault == "attempt 1 ended well, but its exit.json is missing or damaged"
    attempt(root, JOB, one, number=2, ending=Ending.ERROR)  # made by a launch that did not know
    assert facts(root, one).fault == ""


def test_attempts_that_are_gone_are_missed_unless_the_worker_said_that_it_left(
    root: Root, one: Submission
) -> None:
    ends(root, one)
    assert "nothing that it measured is there" in facts(root, one).fault
    log = root.submission(one.token).member_log(0, 0)
    log.write_text("a: nothing to do: the job was cancelled\n")

    assert facts(root, one).fault == ""


@pytest.mark.parametrize(
    "how",
    [
        {"exit_code": 1},
        {"exit_code": None, "signal": 9},
        {"exit_code": None, "by_place": True},
        {"exit_code": 0, "cancelled": True},
        {"started": False, "by_place": True, "exit_code": None},
    ],
    ids=str,
)
def test_an_attempt_that_was_ended_before_it_wrote_anything_is_no_damage(
    root: Root, one: Submission, how: dict[str, Any]
) -> None:
    folder = attempt(root, JOB, one)
    folder.started.unlink()
    ends(root, one, **how)

    assert facts(root, one).fault == ""


def test_a_job_that_never_started_has_lost_nothing(root: Root, one: Submission) -> None:
    ends(root, one, started=False, by_place=True, exit_code=None)
    shutil.rmtree(root.job(JOB).path)

    assert facts(root, one).fault == ""


def test_a_damaged_job_that_runs_or_waits_is_shown_so_and_one_that_was_cancelled_is_not(
    root: Root, one: Submission
) -> None:
    attempt(root, JOB, one, ending=Ending.STOPPED)
    root.job(JOB).record.unlink()
    found, now = facts(root, one), time.time()
    cancelled = standing_orders([Order(what="cancel", jobs=[JOB])])

    def state(*sight: Sight) -> State:
        seen = dict.fromkeys([(one.token, 0)], Sighting(*sight)) if sight else {}
        return status_of(found, cancelled, seen, now).state

    assert (state(Sight.RUNNING), state(Sight.WAITING)) == (State.RUNNING, State.QUEUED)
    assert state() is State.UNKNOWN


def test_a_record_of_a_newer_identity_is_not_taken_for_another_jobs(
    root: Root, one: Submission
) -> None:
    attempt(root, JOB, one, ending=Ending.ERROR)
    record = json.loads(root.job(JOB).record.read_bytes())
    root.job(JOB).record.write_text(json.dumps({**record, "identity_version": 99}))

    assert facts(root, one).fault == ""


def test_no_more_than_the_record_is_read_for_it(
    root: Root, one: Submission, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt(root, JOB, one, ending=Ending.ERROR)
    ends(root, one, exit_code=1)
    read, reader = [], Path.read_bytes

    def counted(path: Path) -> bytes:
        read.append(path.name)
        return reader(path)

    monkeypatch.setattr(Path, "read_bytes", counted)
    facts(root, one)
    own = [name for name in read if name.endswith((".json", ".log")) and name != "intent.json"]

    assert sorted(own) == [
        "exit.json",
        "job.json",
        "outcomes-001.json",
        "started.json",
        "submitted.json",
    ]


def test_a_start_that_never_claimed_its_job_has_made_nothing_that_could_be_gone(
    root: Root, one: Submission
) -> None:
    shutil.rmtree(root.job(JOB).path)
    ends(root, one, exit_code=1)

    assert facts(root, one).fault == ""
    root.submission(one.token).claim_mark(0).touch()
    assert facts(root, one).fault == "its folder is gone"


def test_of_a_submission_without_marks_the_launch_made_the_folders(
    root: Root, one: Submission
) -> None:
    shutil.rmtree(root.job(JOB).path)
    root.submission(one.token).claimed.rmdir()
    ends(root, one, exit_code=1)

    assert facts(root, one).fault == "its folder is gone"
