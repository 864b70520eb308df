from pathlib import Path

from orchestrator.jobs.layout import JobFolder, Root


def test_attempts_are_those_with_a_number(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    assert folder.attempt_numbers() == []

    for name in ("002", "010", "1000", ".tmp-003-0123abcd", "notes", "³"):
        (folder.attempts / name).mkdir(parents=True)

    assert folder.attempt_numbers() == [2, 10, 1000]
    assert [folder.attempt(n).path.name for n in (2, 1000)] == ["002", "1000"]
    assert folder.attempt(10).number == 10


def test_an_attempt_has_saved_the_newest_step_that_it_published(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    assert folder.saved_steps() == {}

    for name in ("001-000000900", "001-000001000", "002-000000950", ".tmp-002-000002000", "notes"):
        (folder.checkpoints / name).mkdir(parents=True)

    assert folder.saved_steps() == {1: 1000, 2: 950}


def test_outcomes_come_in_the_order_written_beyond_999(root: Root) -> None:
    folder = root.submission("t")
    folder.path.mkdir(parents=True)
    for number in (1000, 2, 999, 1):
        folder.outcome(number).touch()
    (folder.path / ".tmp-outcomes-003.json-0123").touch()

    assert folder.outcomes() == [folder.outcome(n) for n in (1, 2, 999, 1000)]


def test_unpublished_files_are_no_jobs_submissions_or_errors(root: Root) -> None:
    job, submission = root.job("ab" * 16), root.submission("t")
    attempt = job.attempt(1)
    for path in (job.record, submission.intent, attempt.error(0), attempt.usage(0)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(f".tmp-{path.name}-0123").touch()

    assert (root.submissions(), attempt.errors(), attempt.usages()) == ([], [], [])
    for path in (job.record, submission.intent, attempt.error(0), attempt.error(12)):
        path.touch()
    attempt.usage(3).touch()
    assert [found.token for found in root.submissions()] == ["t"]
    assert attempt.errors() == [attempt.error(0), attempt.error(12)]
    assert attempt.usages() == [attempt.usage(3)]
