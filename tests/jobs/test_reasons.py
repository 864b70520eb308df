from dataclasses import replace

import pytest

from orchestrator.jobs.facts import Attempt, End, RankError, Start
from orchestrator.jobs.reasons import RULES, Reason, reason_of

START = Start("t", 0, 0, 1.0, "h:b:1:1", "h", "c", {})
FIRST = RankError(1, 5.0, "ValueError", "bad image")
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
        Reason("exception", "RuntimeError: peer closed"),
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
    (None, end(code=1, detail="ImportError: x"), Reason("exit", "ImportError: x")),
    (attempt(), end(code=3), Reason("exit", "ended with exit code 3 and no word")),
]


@pytest.mark.parametrize(("attempt", "end", "reason"), TABLE)
def test_the_strongest_evidence_names_the_reason(
    attempt: Attempt | None, end: End | None, reason: Reason
) -> None:
    assert reason_of(attempt, end) == reason


def test_every_rule_is_reached() -> None:
    assert {reason.kind for _, _, reason in TABLE} == set(RULES)
    assert all(rule.meaning and rule.retries >= 0 for rule in RULES.values())
