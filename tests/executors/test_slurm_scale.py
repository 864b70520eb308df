"""Thousands of members: how often SLURM is asked, and in how long words."""

from pathlib import Path

import pytest
from fakes.slurm import FakeSlurm, submission, submitted
from support.rounds import Rounds

from orchestrator.controller.survey import survey
from orchestrator.executors.slurm import SlurmExecutor
from orchestrator.executors.slurm_queries import MOST_ASKED, queue, records
from orchestrator.jobs.state import State

LONGEST_WORD = 128 * 1024
"""What Linux takes as one word of a command."""


@pytest.mark.parametrize(("count", "calls"), [(5_000, 1), (5_001, 2), (10_000, 2)])
def test_as_many_arrays_as_there_are_jobs_are_asked_for_in_words_that_the_kernel_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, calls: int
) -> None:
    slurm = FakeSlurm(tmp_path, monkeypatch)
    names = [f"o-{number:012x}" for number in range(count)]
    numbers = [f"{number}" for number in range(1_000_000_000, 1_000_000_000 + count)]
    queue(names)
    records(since=0, names=names)
    records(since=0, arrays=numbers)

    for command, option, asked in (
        ("squeue", "--name=", names),
        ("sacct", "--name=", names),
        ("sacct", "--jobs=", numbers),
    ):
        words = [w for call in slurm.calls(command) for w in call if w.startswith(option)]
        assert len(words) == calls
        assert max(map(len, words)) < LONGEST_WORD
        assert ",".join(w.removeprefix(option) for w in words) == ",".join(asked)


def test_members_are_cancelled_as_many_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = Rounds(tmp_path, monkeypatch)
    slurm = FakeSlurm(tmp_path / "other", monkeypatch)
    one = submitted(rounds.root, submission(*(f"{n}" for n in range(MOST_ASKED + 1))))

    SlurmExecutor(rounds.root).cancel([(one.token, n) for n in range(MOST_ASKED + 1)])

    assert [len(call) for call in slurm.calls("scancel")] == [1 + MOST_ASKED, 2]


@pytest.mark.parametrize(("count", "calls"), [(5_000, 1), (10_000, 2)])
def test_a_look_at_thousands_of_members_costs_a_question_or_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, calls: int
) -> None:
    rounds = Rounds(tmp_path, monkeypatch)
    jobs = [f"{number:05d}" for number in range(count)]
    for number in range(count // 500):
        names = jobs[500 * number : 500 * (number + 1)]
        one = submitted(rounds.root, submission(*names), f"{number}@alpha")
        rounds.site.holds(one, f"{number}", "PENDING")
    found = survey(rounds.root, jobs)
    assert {status.state for status in found.statuses.values()} == {State.QUEUED}
    assert rounds.site.calls() == {"scontrol": 1, "squeue": 1}
    for task in list(rounds.site.tasks())[::500]:
        task.becomes("NODE_FAIL", where="sacct")
    found = survey(rounds.root, jobs)

    assert (
        sum(status.state is State.QUEUED for status in found.statuses.values())
        == count - count / 500
    )
    asked = rounds.site.calls()
    assert asked["squeue"] - 1 <= calls
    assert 1 <= asked["sacct"] <= calls
