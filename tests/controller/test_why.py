import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fakes.place import FakePlace, attempt, recorded
from fakes.slurm import FakeSlurm, queue_line, submission, submitted

from orchestrator.controller.origin import Origin
from orchestrator.controller.select import Named
from orchestrator.controller.why import GIVEN_UP, HELD, NEXT, explain
from orchestrator.jobs.evidence import Sight, Sighting
from orchestrator.jobs.facts import End, Ending
from orchestrator.jobs.files import publish, to_json
from orchestrator.jobs.layout import Root
from orchestrator.jobs.orders import Order, write_order
from orchestrator.jobs.rules import ADVICE, RULES
from orchestrator.jobs.state import State
from orchestrator.jobs.store import create_root
from orchestrator.jobs.submissions import write_intent, write_refused

JOB = "a" * 32
NAME = Named(JOB, "registers-8")


@dataclass(frozen=True)
class Case:
    """What is known of a job, and the sentence on it."""

    sentence: str
    attempts: tuple[dict[str, Any], ...] = ()
    seen: Sighting | None = None
    submissions: int = 1
    cancelled: bool = False
    stopped: bool = False
    error: str = ""
    troubles: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    """What is said between that and the next step."""


def ended(**how: Any) -> Sighting:
    return Sighting(Sight.ENDED, End(time.time(), started=True, **how))


S = State
CASES = {
    S.DONE: Case(
        r"finished, in 2 start\(s\)", ({"ending": Ending.STOPPED}, {"ending": Ending.FINISHED})
    ),
    S.RUNNING: Case(
        r"start 1 on node7 since \d{4}-\d\d-\d\d \d\d:\d\d, last sign of life \d s ago; "
        r"fake calls it h/0",
        ({},),
        Sighting(Sight.RUNNING),
    ),
    S.QUEUED: Case(
        "others come first; it is expected to start by 2026-11-2[0-9] [0-9:]+; fake calls it h/0",
        seen=Sighting(Sight.WAITING, detail="others come first", expected=1795175731.0),
    ),
    S.UNKNOWN: Case(
        "fake does not say what became of it; .* cancel it and launch again",
        troubles=("half of it is down",),
        notes=["note: half of it is down"],
    ),
    S.STOPPED: Case(
        "val/loss 2 is number 2 of 2",
        ({"ending": Ending.STOPPED},),
        ended(exit_code=75),
        stopped=True,
    ),
    S.CANCELLED: Case("by ann", submissions=0, cancelled=True),
    S.PREEMPTED: Case(
        "stopped by a signal; a watch tries it again by itself",
        ({"ending": Ending.STOPPED},),
        ended(exit_code=75),
        notes=[
            f"preempted: {RULES['preempted'].meaning}.",
            f"Action: again; {ADVICE['preempted']}.",
        ],
    ),
    S.FAILED: Case(
        "ValueError: key 7 is no image",
        ({"time": 5.0},),
        ended(exit_code=1),
        error="key 7 is no image",
        notes=[
            "exception: the worker raised an exception; a watch does not try such a job again.",
            "Action: stop; mend what its log shows.",
        ],
    ),
    S.PLANNED: Case(
        r"1 place\(s\) ended before a worker claimed it; a watch tries it again by itself",
        seen=ended(by_place=True),
    ),
}


@pytest.fixture
def root(tmp_path: Path) -> Root:
    made = create_root(tmp_path / "runs")
    recorded(made, JOB)
    return made


def test_a_job_that_a_watch_leaves_alone_is_not_sent_to_a_watch(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakePlace(monkeypatch)
    for _ in range(5):
        one = submission(JOB, executor="fake")
        write_refused(write_intent(root, one, ""), "no such account")
    given_up = explain(root, NAME).lines[-1]
    write_order(root, Order(what="hold", jobs=[JOB], why="trial jobs come first"))

    told = explain(root, NAME).lines

    assert given_up == GIVEN_UP.format(id="aaaaaaaa")
    assert told == ["registers-8 (aaaaaaaa) is PLANNED: held: trial jobs come first.", HELD]


def test_every_state_has_a_next_step_and_a_case_here() -> None:
    assert NEXT.keys() == CASES.keys() == set(State)


@pytest.mark.parametrize("state", CASES)
def test_a_job_of_each_state_is_explained_in_a_sentence_and_a_next_step(
    root: Root, monkeypatch: pytest.MonkeyPatch, state: State
) -> None:
    place, case = FakePlace(monkeypatch), CASES[state]
    place.troubles = case.troubles
    one = submission(JOB, executor="fake")
    if case.submissions:
        submitted(root, one, "h")
    for number, how in enumerate(case.attempts, 1):
        folder = attempt(root, JOB, one, number, **how)
        if case.error:
            told = {"rank": 0, "time": 1.0, "exception": "ValueError", "message": case.error}
            publish(folder.error(0), to_json(told))
    if case.seen:
        place.seen[one.token, 0] = case.seen
    if case.cancelled:
        write_order(root, Order(what="cancel", jobs=[JOB], who="ann"))

    if case.stopped:
        why = "val/loss 2 is number 2 of 2"
        write_order(root, Order(what="stop", jobs=[JOB], last={JOB: 1}, why=why))

    said, *notes, step = explain(root, NAME).lines

    assert re.fullmatch(rf"registers-8 \(aaaaaaaa\) is {state}: {case.sentence}\.", said)
    assert notes == case.notes
    assert step == NEXT[state].format(id="aaaaaaaa")


@pytest.mark.parametrize(
    ("seconds", "when"), [(0, r" in (29|30) s"), (1000, "")], ids=["soon", "now"]
)
def test_a_failure_that_is_tried_again_tells_its_rule_and_when(
    root: Root, monkeypatch: pytest.MonkeyPatch, seconds: int, when: str
) -> None:
    place, one = FakePlace(monkeypatch), submission(JOB, executor="fake")
    submitted(root, one, "h")
    place.seen[one.token, 0] = Sighting(
        Sight.ENDED, End(time.time() - seconds, started=True, signal=9)
    )

    said, rule, action, _ = explain(root, NAME).lines

    meaning = RULES["killed"].meaning
    pattern = rf"registers-8 .* is FAILED: {meaning}; a watch tries it again by itself{when}\."
    assert re.fullmatch(pattern, said)
    assert rule == f"killed: {meaning}; 1 of 3 tries spent."
    assert action == f"Action: again, after 30 s, then twice as long; {ADVICE['killed']}."


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        (Origin(commit="3f2a" * 10), "commit 3f2a3f2a3f2a"),
        (Origin(commit="3f2a" * 10, diff="-a"), "commit 3f2a3f2a3f2a with changes"),
        (Origin(version="0.1.0"), "version 0.1.0"),
        (Origin(why="no git"), "code of no known commit"),
    ],
)
def test_where_the_last_start_was_and_what_code_it_ran_is_told_where_it_is_known(
    root: Root, monkeypatch: pytest.MonkeyPatch, origin: Origin, words: str
) -> None:
    FakePlace(monkeypatch)
    one = submission(JOB, executor="fake")
    submitted(root, one, "h")
    attempt(root, JOB, one, 1, Ending.STOPPED)
    attempt(root, JOB, one, 2, Ending.FINISHED)
    without = explain(root, NAME).lines
    publish(root.origin(one.snapshot), to_json(origin.to_plain()))

    said, start, step = explain(root, NAME).lines

    assert start == f"Start 2: on node7, {words}."
    assert [said, step] == without


def test_a_new_job_is_planned_without_a_reason(root: Root) -> None:
    assert explain(root, NAME).lines[0] == "registers-8 (aaaaaaaa) is PLANNED."


def test_slurms_reason_and_expected_start_are_told_in_words(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slurm = FakeSlurm(tmp_path / "site", monkeypatch)
    one = submitted(root, submission("b" * 32, JOB))
    told = {"Reason": "BeginTime", "RestartCnt": "1", "StartTime": "1795175731"}
    slurm.answer("squeue", queue_line(one, 0, "RUNNING"), queue_line(one, 1, "PENDING", **told))
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(1795175731))

    assert explain(root, NAME).lines[0] == (
        "registers-8 (aaaaaaaa) is QUEUED: start 2: BeginTime: SLURM lets it begin again a little "
        f"later; it is expected to start by {when}; slurm calls it 7_1@alpha."
    )


def test_a_job_that_waits_for_no_known_time_is_named_all_the_same(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slurm = FakeSlurm(tmp_path / "site", monkeypatch)
    one = submitted(root, submission(JOB))
    slurm.answer("squeue", queue_line(one, 0, "PENDING", Reason="JobArrayTaskLimit"))

    assert explain(root, NAME).lines[0] == (
        "registers-8 (aaaaaaaa) is QUEUED: JobArrayTaskLimit: the sweep's max_parallel is "
        "reached; slurm calls it 7_0@alpha."
    )
