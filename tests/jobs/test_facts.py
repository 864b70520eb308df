import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config import Placement
from orchestrator.jobs.facts import (
    End,
    Ending,
    JobFacts,
    Member,
    Start,
    contributors,
    final_attempt,
    read_attempts,
    read_history,
)
from orchestrator.jobs.files import publish, to_json
from orchestrator.jobs.gather import gather, read_submissions
from orchestrator.jobs.journal import Header, JournalWriter
from orchestrator.jobs.layout import AttemptFolder, JobFolder, Root
from orchestrator.jobs.orders import Standing
from orchestrator.jobs.processes import this_process
from orchestrator.jobs.state import State, status_of
from orchestrator.jobs.submissions import (
    Submission,
    write_intent,
    write_outcomes,
    write_refused,
    write_submitted,
)

ELSEWHERE = "node7:b:12:34"
SUBMITTED = "t"


def started(job: JobFolder, number: int = 1, **changes: Any) -> AttemptFolder:
    """An attempt that was claimed."""
    folder = job.attempt(number)
    record = {
        "token": SUBMITTED,
        "index": 0,
        "restart": 0,
        "time": 5.0,
        "process": ELSEWHERE,
        "host": "node7",
        "code_hash": "c0de",
        "world": 2,
    }
    publish(folder.started, to_json({**record, **changes}))
    return folder


def ended(folder: AttemptFolder, ending: Ending = Ending.FINISHED) -> None:
    publish(folder.exit, to_json({"end": ending.value, "time": 9.0}))


def failed(folder: AttemptFolder, rank: int, at: float, message: str = "oh") -> None:
    record = {"rank": rank, "time": at, "exception": "ValueError", "message": message}
    publish(folder.error(rank), to_json(record))


def submitted(root: Root, *jobs: str, token: str = SUBMITTED) -> Submission:
    submission = Submission(
        token=token,
        executor="local",
        jobs=list(jobs),
        names=list(jobs),
        placement=Placement(),
        max_parallel=1,
        snapshot="0",
        python="python",
        data_root="/data",
        owner="ann",
    )
    write_intent(root, submission, "")
    return submission


@pytest.fixture
def job(root: Root) -> JobFolder:
    return root.job("ab" * 16)


def test_an_attempt_is_what_its_files_say(job: JobFolder) -> None:
    folder = started(job, 3)
    failed(folder, 1, 7.0)
    failed(folder, 0, 6.0)
    ended(folder, Ending.ERROR)

    (attempt,) = read_attempts(job)

    assert attempt.number == 3
    assert attempt.start == Start("t", 0, 0, 5.0, ELSEWHERE, "node7", "c0de", {"world": 2})
    assert attempt.ending is Ending.ERROR
    assert [(error.rank, error.message) for error in attempt.errors] == [(0, "oh"), (1, "oh")]
    assert attempt.running is None


def test_a_process_is_seen_running_on_its_own_host_only(job: JobFolder) -> None:
    me = this_process()
    started(job, 1, process=ELSEWHERE)
    started(job, 2, process=str(me))
    started(job, 3, process=str(replace(me, start=1)))

    assert [attempt.running for attempt in read_attempts(job)] == [None, True, False]


def test_the_heartbeat_is_the_journals_and_before_it_that_of_the_start(job: JobFolder) -> None:
    folder = started(job)
    os.utime(folder.started, (100, 100))
    before = read_attempts(job)[0].heartbeat
    JournalWriter(folder.journal, Header("j", 1, None, 9)).close()
    os.utime(folder.journal, (200, 200))

    assert (before, read_attempts(job)[0].heartbeat) == (100, 200)


def test_what_a_process_wrote_before_it_was_seen_gone_is_read(
    job: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = started(job)

    def finishes_now(_: object) -> bool:
        ended(folder)
        return False

    monkeypatch.setattr("orchestrator.jobs.processes.Process.alive", finishes_now)
    (attempt,) = read_attempts(job)

    assert (attempt.running, attempt.ending) == (False, Ending.FINISHED)


BAD = [b"", b"{", b"[]", b"\xff\xfe", b"\0" * 40, b'{"else": 1}']


@pytest.mark.parametrize("content", BAD)
def test_an_unreadable_exit_counts_as_none(job: JobFolder, content: bytes) -> None:
    started(job).exit.write_bytes(content)

    assert read_attempts(job)[0].ending is None


def test_an_ending_of_a_newer_program_counts_as_none(job: JobFolder) -> None:
    publish(started(job).exit, to_json({"end": "paused"}))

    assert read_attempts(job)[0].ending is None


@pytest.mark.parametrize("content", BAD)
def test_an_unreadable_error_hides_no_other(job: JobFolder, content: bytes) -> None:
    folder = started(job)
    folder.error(0).write_bytes(content)
    failed(folder, 1, 7.0)

    assert [error.rank for error in read_attempts(job)[0].errors] == [1]


def test_an_error_of_a_newer_program_and_of_bytes_that_are_no_text_can_be_shown(
    job: JobFolder,
) -> None:
    folder = started(job)
    record = {"rank": 0, "time": 1.0, "exception": "OSError", "message": "caf\udce9", "new": 1}
    folder.error(0).write_text(json.dumps(record))

    (error,) = read_attempts(job)[0].errors

    assert error.message == "caf\\udce9"


@pytest.mark.parametrize("content", [*BAD, b'{"process": "torn"}'])
def test_an_attempt_whose_start_is_unreadable_keeps_its_number_and_its_life(
    job: JobFolder, content: bytes
) -> None:
    started(job, 1)
    folder = started(job, 2)
    folder.started.write_bytes(content)
    first, second = read_attempts(job)

    assert (first.number, second.number) == (1, 2)
    assert (second.start.token, second.running) == ("", None)
    assert time.time() - second.heartbeat < 60
    ended(folder)
    assert read_attempts(job)[1].ending is Ending.FINISHED


def test_an_attempt_that_is_being_removed_stays_until_its_folder_is_gone(
    job: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = started(job, 1)
    started(job, 2)
    folder.started.unlink()
    assert [attempt.number for attempt in read_attempts(job)] == [1, 2]

    numbers = job.attempt_numbers()
    shutil.rmtree(folder.path)
    monkeypatch.setattr(JobFolder, "attempt_numbers", lambda _: numbers)
    assert [attempt.number for attempt in read_attempts(job)] == [2]
    assert read_history(job).points == ()


def test_a_stray_file_among_the_attempts_is_an_attempt_without_a_word(job: JobFolder) -> None:
    started(job, 1)
    (job.attempts / "007").write_text("notes")

    assert [(one.number, one.ending) for one in read_attempts(job)] == [(1, None), (7, None)]
    assert read_history(job).points == ()


def test_a_job_without_a_folder_has_neither_attempts_nor_history(job: JobFolder) -> None:
    assert read_attempts(job) == ()
    assert read_history(job).last() == {}


def test_the_history_folds_the_journals_of_all_attempts(job: JobFolder) -> None:
    for number, from_step, steps in ((1, None, (1, 2, 3)), (3, 2, (3, 4))):
        folder = started(job, number)
        with JournalWriter(folder.journal, Header("j", number, from_step, 9)) as journal:
            for step in steps:
                journal.point(step, 0, {"attempt": float(number)})
    started(job, 2)

    assert [(p.step, p.metrics["attempt"]) for p in read_history(job).points] == [
        (1, 1.0),
        (2, 1.0),
        (3, 3.0),
        (4, 3.0),
    ]


def test_members_tell_what_places_answered(root: Root) -> None:
    end = End(9.0, started=True, exit_code=1, detail="oh")
    for token in ("t1", "t2", "t3"):
        submitted(root, "a", "b", token=token)
    write_submitted(root.submission("t1"), "handle")
    write_outcomes(root.submission("t1"), [{"index": 1, **{k: getattr(end, k) for k in _fields()}}])
    write_refused(root.submission("t3"), "full")

    facts = gather(root, ["b", "c"], read_submissions(root))

    assert facts.keys() == {"b", "c"}
    assert facts["c"].members == ()
    told = {m.token: (m.index, m.handle, m.refused, m.end) for m in facts["b"].members}
    assert told == {
        "t1": (1, "handle", False, end),
        "t2": (1, None, False, None),
        "t3": (1, None, True, None),
    }


def test_a_damaged_job_has_a_state_and_hides_no_other(root: Root) -> None:
    submission = submitted(root, "damaged", "sound")
    write_submitted(root.submission("t"), "handle")
    folder = started(root.job("damaged"))
    for path in (folder.started, folder.exit, folder.journal, folder.error(0)):
        path.write_bytes(b"\0\0\0\0\n\xff\n{")
    ended(started(root.job("sound"), index=1))

    facts = gather(root, ["damaged", "sound"], [submission])
    now = time.time()
    states = {job: status_of(facts[job], Standing(), {}, now).state for job in facts}

    assert states == {"damaged": State.RUNNING, "sound": State.DONE}
    late = status_of(facts["damaged"], Standing(), {}, now + 1000)
    assert (late.state, late.due) == (State.UNKNOWN, False)
    assert read_history(root.job("damaged")).points == ()


def _fields() -> tuple[str, ...]:
    return tuple(End.__dataclass_fields__)


def test_a_record_that_is_a_folder_is_an_error_and_not_passed_over(job: JobFolder) -> None:
    Path(started(job).exit).mkdir()

    with pytest.raises(IsADirectoryError):
        read_attempts(job)


def test_the_attempts_that_made_a_result_are_those_it_went_on_from(tmp_path: Path) -> None:
    job = JobFolder(tmp_path)
    for number, (code, from_step) in enumerate(
        [("a", None), ("b", 5), ("c", None), ("d", 8), ("e", 8)], start=1
    ):
        folder = started(job, number, code_hash=code)
        header = Header("job", number, from_step=from_step, steps=20)
        with JournalWriter(folder.journal, header) as journal:
            journal.point(10, 1, {"x": 1.0})
    ended(job.attempt(4))

    attempts = read_attempts(job)

    assert final_attempt(attempts[:3]) is None
    assert final_attempt(attempts) == attempts[3]
    assert [one.start.code_hash for one in contributors(attempts)] == ["d", "c"]


def test_the_newest_member_is_the_last_that_a_place_took_or_may_have() -> None:
    def member(token: str, **how: Any) -> Member:
        return Member(token, 0, "slurm", 0.0, "h", **{"refused": False, "end": None, **how})

    taken, open_, refused = member("a"), member("b"), member("c", refused=True)

    assert JobFacts("j", (), (taken, open_, refused)).newest is open_
    assert JobFacts("j", (), (refused,)).newest is refused
    assert JobFacts("j").newest is None
