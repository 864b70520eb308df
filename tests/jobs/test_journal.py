import json
import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.jobs.journal import (
    Header,
    History,
    Journal,
    JournalWriter,
    Point,
    fold,
    read_journal,
)

STEPS = 12


@dataclass(frozen=True)
class Life:
    """One attempt of a schedule: how it begins, when it checkpoints, how it dies."""

    fresh: bool
    checkpoint_every: int
    writes: int
    """Lines it writes before it dies."""
    torn: int
    """Bytes of a further line that made it to the file."""
    crash: bool
    """The machine went down with it: what was not synced is zeros."""


lives = st.builds(
    Life,
    fresh=st.sampled_from([False, False, True]),
    checkpoint_every=st.integers(1, 5),
    writes=st.integers(0, 2 * STEPS),
    torn=st.integers(0, 60),
    crash=st.booleans(),
)


def _lines_after(step: int | None) -> Iterator[tuple[int, dict[str, float]]]:
    """What any attempt measures from ``step`` on: a function of the step alone."""
    for at in range(0 if step is None else step + 1, STEPS + 1):
        yield at, {"train/loss": [math.nan, math.inf, -math.inf, at / 3][at % 4]}
        if at % 3 == 0:
            yield at, {"val/top1": float(at), "norms/max": math.nan}


def _live(path: Path, number: int, life: Life, checkpoint: int | None) -> int | None:
    """Write an attempt's journal until it dies; returns the checkpoint it leaves."""
    synced = 0
    with JournalWriter(path, Header("job", number, checkpoint, STEPS)) as journal:
        lines = list(_lines_after(checkpoint))
        for line, (step, metrics) in enumerate(lines[: life.writes]):
            journal.point(step, step // 4, metrics)
            complete = line + 1 == len(lines) or lines[line + 1][0] > step
            if complete and step and step % life.checkpoint_every == 0:
                journal.sync()
                checkpoint, synced = step, path.stat().st_size
    content = path.read_bytes() + b'{"t": 1.0, "step": 99, "epoch": 9, "m": {"x": 1}}'[: life.torn]
    if life.crash:
        content = content[:synced] + b"\0" * (len(content) - synced - 1) + b"\n"
    path.write_bytes(content)
    return checkpoint


def _told(history: History) -> list[tuple[int, int, str]]:
    return [(p.step, p.epoch, repr(sorted(p.metrics.items()))) for p in history.points]


@given(st.lists(lives, max_size=6))
@settings(max_examples=150)
def test_any_schedule_of_kills_folds_to_the_journal_of_an_uninterrupted_run(
    schedule: list[Life],
) -> None:
    last = Life(fresh=False, checkpoint_every=5, writes=10**6, torn=0, crash=False)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{n}.jsonl" for n in range(len(schedule) + 2)]
        _live(paths[0], 0, last, None)
        checkpoint = None
        for number, life in enumerate([*schedule, last], 1):
            checkpoint = _live(paths[number], number, life, None if life.fresh else checkpoint)
        whole, *journals = (read_journal(path, n) for n, path in enumerate(paths))

    assert whole
    assert _told(fold([j for j in journals if j])) == _told(fold([whole]))


def _journal(from_step: int | None, *steps: int) -> Journal:
    return Journal(1, from_step, 9, tuple(Point(0.0, s, 0, {"m": s}) for s in steps))


def test_an_attempt_replaces_what_was_measured_beyond_its_checkpoint() -> None:
    folded = fold([_journal(None, 0, 2, 4, 6), _journal(4, 5, 6), _journal(2, 3)])

    assert [point.step for point in folded.points] == [0, 2, 3]


def test_an_attempt_from_the_start_drops_everything_before_it() -> None:
    folded = fold([_journal(None, 0, 2, 4), _journal(None, 0, 1)])

    assert [point.step for point in folded.points] == [0, 1]
    assert [p.step for p in fold([_journal(None, 0, 2), _journal(0, 1)]).points] == [0, 1]
    assert fold([_journal(None, 0, 2), _journal(None)]).points == ()


def test_the_last_value_of_each_metric_is_at_hand() -> None:
    points = (
        Point(0.0, 1, 0, {"a": 1.0}),
        Point(0.0, 2, 0, {"b": 5.0}),
        Point(0.0, 3, 1, {"a": 2.0}),
    )

    assert History(points).last() == {"a": 2.0, "b": 5.0}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "journal.jsonl"
    with JournalWriter(path, Header("job", 1, None, 9)) as journal:
        journal.point(1, 0, {"a": 1.5, "b": math.nan})
        journal.point(2, 0, {"a": math.inf, "b": -math.inf})
    return path


def test_non_finite_numbers_are_strings_on_disk_and_come_back(path: Path) -> None:
    on_disk = [json.loads(line) for line in path.read_text().splitlines()]
    journal = read_journal(path, 1)

    assert [entry.get("m") for entry in on_disk] == [
        None,
        {"a": 1.5, "b": "nan"},
        {"a": "inf", "b": "-inf"},
    ]
    assert journal
    assert (journal.attempt, journal.from_step, journal.steps) == (1, None, 9)
    assert repr([p.metrics for p in journal.points]) == (
        "[{'a': 1.5, 'b': nan}, {'a': inf, 'b': -inf}]"
    )


def test_cut_off_at_any_byte_a_journal_has_its_finished_lines(path: Path) -> None:
    content = path.read_bytes()
    found = []
    for size in range(len(content) + 1):
        path.write_bytes(content[:size])
        journal = read_journal(path, 1)
        found.append(-1 if journal is None else len(journal.points))

    ends = [i + 1 for i, byte in enumerate(content) if byte == ord("\n")]
    expected = [sum(end <= size for end in ends) - 1 for size in range(len(content) + 1)]
    assert found == expected


@pytest.mark.parametrize(
    "line",
    [
        b'{"t": 1, "step": 3, "ep{"t": 2.0, "step": 4, "epoch": 1, "m": {}}',  # glued
        b"\0\0\0\0\0\0",
        b"\xff\xfe not text",
        b"17",
        b'"m"',
        b"",
        b'{"t": 1, "step": 3, "m": {}}',
        b'{"t": 1, "step": 3, "epoch": 0, "m": {"a": "much"}}',
        b'{"t": 1, "event": "stopped"}',
        b'{"t": 1, "step": 3, "epoch": 0, "m": [1]}',
    ],
)
def test_a_line_that_is_no_point_hides_no_other(path: Path, line: bytes) -> None:
    header, first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(header + first + line + b"\n" + second)

    journal = read_journal(path, 1)

    assert journal
    assert [point.step for point in journal.points] == [1, 2]


@pytest.mark.parametrize("header", [b"\0\0\n", b"[]\n", b'{"schema": 1}\n', b"", b'{"from_step":'])
def test_a_journal_without_a_readable_header_counts_as_none(path: Path, header: bytes) -> None:
    path.write_bytes(header)

    assert read_journal(path, 1) is None
    assert read_journal(path / "below", 1) is None
    assert read_journal(path.with_name("nowhere"), 1) is None


def test_a_second_writer_cannot_open_a_journal(path: Path) -> None:
    with pytest.raises(FileExistsError):
        JournalWriter(path, Header("job", 1, None, 9))
