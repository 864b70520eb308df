import time
from pathlib import Path

import pytest

from orchestrator.jobs.clock import file_time


def test_file_time_is_that_of_a_file_just_written_there(tmp_path: Path) -> None:
    before = tmp_path / "before"
    before.touch()
    now = file_time(tmp_path)
    after = tmp_path / "after"
    after.touch()

    assert before.stat().st_mtime <= now <= after.stat().st_mtime
    assert {path.name for path in tmp_path.iterdir()} == {"before", "after"}


def test_file_time_is_the_servers_even_where_this_clock_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = time.time()
    monkeypatch.setattr(time, "time", lambda: 5.0)

    assert file_time(tmp_path) == pytest.approx(right, abs=60)


@pytest.mark.parametrize("why", ["not there", "not a folder", "read-only"])
def test_a_reader_who_cannot_write_there_falls_back_on_this_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    folder = tmp_path / "x"
    if why == "not a folder":
        folder.touch()
    if why == "read-only":

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        folder.mkdir()
        monkeypatch.setattr(Path, "touch", refuse)
    monkeypatch.setattr(time, "time", lambda: 5.0)

    assert file_time(folder) == 5.0
    assert list(tmp_path.iterdir()) == ([] if why == "not there" else [folder])
