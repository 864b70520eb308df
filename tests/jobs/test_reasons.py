import re
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.executors.last_words import last_line
from orchestrator.executors.slurm_words import NOISE
from orchestrator.jobs.facts import Attempt, End, RankError, Start
from orchestrator.jobs.reasons import PATTERNS, Reason, reason_of, reason_of_place
from orchestrator.jobs.rules import ADVICE, RULES, STOP
from orchestrator.worker.records import MESSAGE

START = Start("t", 0, 0, 1.0, "h:b:1:1", "h", "c", {})
FIRST = RankError(1, 5.0, "ValueError", "bad image")
EARLIER = RankError(0, 4.0, "RuntimeError", "[gloo] Connection closed by peer [10.0.0.2]:4242")
LATER = RankError(0, 6.0, "RuntimeError", "peer closed")


def attempt(*errors: RankError) -> Attempt:
    return Attempt(1, START, -1, None, -1, errors, 1.0, running=False)


def end(
    *, code: int | None = None, signal: int | None = None, detail: str = "", by_place: bool = False
) -> End:
    return End(9.0, started=True, by_place=by_place, exit_code=code, signal=signal, detail=detail)


TABLE = [
    (attempt(FIRST, LATER), end(signal=9), Reason("exception", "ValueError: bad image")),
    (attempt(LATER), replace(end(signal=9), rank=1), Reason("killed", RULES["killed"].meaning)),
    (
        attempt(LATER),
        replace(end(code=1), rank=1),
        Reason("neighbour", "RuntimeError: peer closed"),
    ),
    (attempt(FIRST), None, Reason("exception", "ValueError: bad image")),
    (attempt(), None, Reason("vanished", RULES["vanished"].meaning)),
    (attempt(), end(), Reason("vanished", RULES["vanished"].meaning)),
    (None, end(detail="x"), Reason("vanished", RULES["vanished"].meaning)),
    (attempt(), end(signal=9, detail="x"), Reason("killed", RULES["killed"].meaning)),
    (attempt(), end(signal=9, code=1), Reason("killed", RULES["killed"].meaning)),
    (attempt(), end(signal=11), Reason("crashed", "ended by SIGSEGV")),
    (
        attempt(LATER),
        replace(end(code=1), kind="memory", detail="node2 ended it: out of memory"),
        Reason("memory", "node2 ended it: out of memory"),
    ),
    (None, end(signal=15), Reason("crashed", "ended by SIGTERM")),
    (None, end(signal=40), Reason("crashed", "ended by signal 40")),
    (attempt(EARLIER, FIRST), end(code=1), Reason("exception", "ValueError: bad image")),
    (None, end(code=1, detail="ImportError: x"), Reason("import", "ImportError: x")),
    (None, end(code=1, detail="KeyError: x"), Reason("exception", "KeyError: x")),
    (None, end(code=1, detail="it was wrong"), Reason("exit", "it was wrong")),
    (attempt(), end(signal=11, detail="KeyError: x"), Reason("crashed", "ended by SIGSEGV")),
    (
        attempt(),
        end(signal=6, detail="what():  CUDA error: unspecified launch failure"),
        Reason("gpu", "what():  CUDA error: unspecified launch failure (ended by SIGABRT)"),
    ),
    (attempt(), end(code=3), Reason("exit", "ended with exit code 3 and no word")),
]


@pytest.mark.parametrize(("attempt", "end", "reason"), TABLE)
def test_the_strongest_evidence_names_the_reason(
    attempt: Attempt | None, end: End | None, reason: Reason
) -> None:
    assert reason_of(attempt, end) == reason


@pytest.mark.parametrize(
    ("detail", "kind"),
    [
        ("its pool is gone", "node"),
        ("its driver is gone", "node"),
        ("its driver ended", "node"),
        ("its driver ended: RayError: lost", "node"),
        ("a node of it is gone", "node"),
        ("the Ray node of its driver is gone", "node"),
        ("Ray lost it: The node was terminated", "node"),
        ("stopped by a signal", "preempted"),
    ],
)
def test_what_pools_and_drivers_say_of_an_end_is_of_the_kind_that_it_is(
    detail: str, kind: str
) -> None:
    assert reason_of_place(end(detail=detail, by_place=True)) == Reason(kind, detail)


TEXTS = sorted((Path(__file__).parent / "reasons").glob("*.txt"))
"""Logs by kind: what ended the rank in the first line, then the end of what it printed."""
RAISED = re.compile(r"^(?:[A-Za-z_]\w*\.)*([A-Za-z_]\w*): ?(.*)", re.DOTALL | re.MULTILINE)


def told(path: Path) -> tuple[str, str]:
    """What ended the rank of a text, and its log."""
    how, _, log = path.read_text().partition("\n")
    return how, log


def kind_in(path: Path) -> str:
    return path.stem.partition("-")[0]


def last_words(log: str, tmp_path: Path) -> str:
    (tmp_path / "log").write_text(log)
    return last_line(tmp_path / "log", noise=NOISE)


def raised(log: str) -> RankError:
    """The record that a worker writes of the exception whose traceback ends the log."""
    last = log.rstrip().rpartition('  File "')[2].split("\n")
    text = "\n".join(last[next(n for n, line in enumerate(last) if n and line[:1].strip()) :])
    match = RAISED.match(text)
    name, message = match.groups() if match else (text.split(".")[-1], "")
    return RankError(0, 1.0, name, " ".join(message.split())[:MESSAGE])


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_a_log_tells_its_kind(path: Path, tmp_path: Path) -> None:
    how, log = told(path)
    word, _, number = how.partition(" ")
    words = last_words(log, tmp_path)
    if word == "raised":
        found = reason_of(attempt(raised(log)), end(code=1, detail=words))
    elif word == "signal":
        found = reason_of(attempt(), end(signal=int(number), detail=words))
    else:
        found = reason_of(None, end(code=int(number), detail=words))

    assert found.kind == kind_in(path), (words, found)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_an_exception_before_the_claim_is_told_by_the_last_line_alone(
    path: Path, tmp_path: Path
) -> None:
    how, log = told(path)
    words = last_words(log, tmp_path)
    alone = how == "raised" and kind_in(path) != "neighbour"
    if alone and raised(log).message in words:
        assert reason_of(None, end(code=1, detail=words)).kind == kind_in(path)


def test_every_rule_is_reached_and_has_advice_and_a_text() -> None:
    by_place = {"time", "node", "preempted"}

    assert {reason.kind for _, _, reason in TABLE} <= RULES.keys() == ADVICE.keys()
    assert {kind_in(path) for path in TEXTS} == RULES.keys() - by_place - {"vanished"}
    assert {kind for kind, _, _ in PATTERNS} == RULES.keys() - {"vanished"}
    assert all(rule.meaning and rule.retries >= 0 <= rule.back_off_s for rule in RULES.values())
    assert {kind for kind, rule in RULES.items() if rule.action == STOP and rule.retries} == set()
