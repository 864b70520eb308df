"""The checks as a whole: their order, what they leave out, what they come to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.controller.doctor.checkup import CHECKS, Check, as_json, examine, worst
from orchestrator.controller.doctor.finding import Finding, Level, Patient, bad, ok, warn
from orchestrator.errors import DataError


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    return Patient(root_path=tmp_path / "runs", data_root=tmp_path / "data")


def finding(*found: Finding) -> Check:
    return Check("first", lambda _: iter(found))


def test_what_a_check_needs_comes_before_it() -> None:
    names = [check.name for check in CHECKS]

    assert len({*names}) == len(names)
    for place, check in enumerate(CHECKS):
        assert not check.needs or check.needs in names[:place]


@pytest.mark.parametrize(("first", "told"), [(ok("x"), 2), (warn("x", ""), 2), (bad("x", ""), 1)])
def test_a_check_whose_ground_is_bad_is_left_out(
    patient: Patient, first: Finding, told: int
) -> None:
    second = Check("second", lambda _: iter([ok("y")]), needs="first")

    assert len([*examine(patient, checks=[finding(first), second])]) == told


def test_a_check_that_stumbles_is_bad_and_hides_no_other(patient: Patient) -> None:
    def stumbles(_: Patient) -> Iterator[Finding]:
        yield ok("so far")
        raise DataError("no such thing")

    found = [*examine(patient, checks=[Check("it", stumbles), finding(ok("fine"))])]

    assert [one.level for _, one in found] == [Level.OK, Level.BAD, Level.OK]
    assert "no such thing" in found[1][1].found


def test_the_document_tells_the_worst(patient: Patient) -> None:
    found = [*examine(patient, checks=[finding(ok("fine"), warn("slow", "wait"))])]

    assert as_json(found) == {
        "schema": 1,
        "worst": "warn",
        "findings": [
            {"check": "first", "level": "ok", "found": "fine", "advice": ""},
            {"check": "first", "level": "warn", "found": "slow", "advice": "wait"},
        ],
    }
    assert worst([("a", bad("x", "y")), *found]) is Level.BAD
    assert worst([]) is Level.OK
