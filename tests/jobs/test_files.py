import io
import json
import os
import signal
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, Self

import pytest

from orchestrator.errors import RootError
from orchestrator.jobs.files import (
    discard,
    is_gone,
    is_temporary,
    publish,
    publish_once,
    publishing_folder,
    read_record,
    set_aside,
    to_json,
)

Race = Callable[[Callable[[int], int], int], list[int]]

OLD, NEW = b"old " * 5000, b"brand new " * 4000
TOUCHES_THE_DISK = ("open", "fsync", "link", "rename", "replace", "unlink", "mkdir", "close")


class _KilledInTheMiddle:
    """Kills this process before its n-th call to the operating system; writes come in halves."""

    def __init__(self, n: int) -> None:
        self.left = n

    def install(self) -> None:
        for name in TOUCHES_THE_DISK:
            setattr(os, name, self._counted(getattr(os, name)))
        io.open = self._opened(io.open)  # type: ignore[assignment]

    def strike(self) -> None:
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.strike()
            return call(*args, **kwargs)

        return counted

    def _opened(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def opened(*args: Any, **kwargs: Any) -> Any:
            self.strike()
            return _InHalves(call(*args, **kwargs), self.strike)

        return opened


class _InHalves:
    def __init__(self, file: Any, strike: Callable[[], None]) -> None:
        self._file, self._strike = file, strike

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, content: bytes) -> None:
        for part in (content[: len(content) // 2], content[len(content) // 2 :]):
            self._strike()
            self._file.write(part)
            self._file.flush()


def _kill_everywhere(race: Race, work: Callable[[], object], check: Callable[[], None]) -> int:
    """Run ``work``, killed before its first call, its second, ... until it ends; the number."""
    for n in count():

        def killed(_: int, n: int = n) -> int:
            _KilledInTheMiddle(n).install()
            work()
            return 0

        code = race(killed, 1)[0]
        assert code in (0, -signal.SIGKILL)
        check()
        if code == 0:
            return n
    raise AssertionError


def test_a_publisher_killed_anywhere_leaves_the_old_content_or_the_new(
    tmp_path: Path, race: Race
) -> None:
    path = tmp_path / "record.json"
    seen = set()

    def check() -> None:
        seen.add(path.read_bytes())
        path.write_bytes(OLD)

    path.write_bytes(OLD)
    moments = _kill_everywhere(race, lambda: publish(path, NEW), check)

    assert seen == {OLD, NEW}
    assert moments >= 6


def test_a_once_publisher_killed_anywhere_leaves_nothing_or_the_whole(
    tmp_path: Path, race: Race
) -> None:
    path = tmp_path / "job.json"
    seen = set()

    def check() -> None:
        seen.add(path.read_bytes() if path.exists() else None)
        path.unlink(missing_ok=True)

    moments = _kill_everywhere(race, lambda: publish_once(path, NEW), check)

    assert seen == {None, NEW}
    assert moments >= 6


def test_a_folder_publisher_killed_anywhere_leaves_no_folder_or_the_whole(
    tmp_path: Path, race: Race
) -> None:
    path = tmp_path / "deep" / "001"
    seen = set()

    def work() -> None:
        with publishing_folder(path) as folder:
            (folder / "started.json").write_bytes(NEW)
            (folder / "sub").mkdir()
            (folder / "sub" / "more").write_bytes(OLD)

    def check() -> None:
        if path.exists():
            seen.add((path / "started.json").read_bytes() + (path / "sub" / "more").read_bytes())
            path.rename(tmp_path / f"seen-{len(seen)}-{os.urandom(4).hex()}")
        else:
            seen.add(b"")

    moments = _kill_everywhere(race, work, check)

    assert seen == {b"", NEW + OLD}
    assert moments >= 12


def test_what_a_killed_writer_leaves_is_known_as_temporary(tmp_path: Path, race: Race) -> None:
    path = tmp_path / "record.json"
    _kill_everywhere(race, lambda: publish(path, NEW), lambda: None)

    left = [entry for entry in tmp_path.iterdir() if entry != path]

    assert left
    assert all(is_temporary(entry) for entry in left)
    assert not is_temporary(path)


def test_one_of_several_once_publishers_wins_and_its_content_stays(
    tmp_path: Path, race: Race
) -> None:
    for turn in range(5):
        path = tmp_path / f"{turn}.json"

        def work(i: int, path: Path = path) -> int:
            return 10 if publish_once(path, bytes([i]) * 1000) else 20

        codes = race(work, 5)

        assert sorted(codes) == [10, 20, 20, 20, 20]
        assert path.read_bytes() == bytes([codes.index(10)]) * 1000
        assert not [entry for entry in tmp_path.iterdir() if is_temporary(entry)]


def test_one_of_several_folder_publishers_wins_and_its_files_stay(
    tmp_path: Path, race: Race
) -> None:
    for turn in range(5):
        path = tmp_path / f"{turn:03d}"

        def work(i: int, path: Path = path) -> int:
            try:
                with publishing_folder(path) as folder:
                    (folder / f"{i}").write_bytes(bytes([i]))
            except FileExistsError:
                return 20
            return 10

        codes = race(work, 5)

        assert sorted(codes) == [10, 20, 20, 20, 20]
        assert [entry.name for entry in path.iterdir()] == [str(codes.index(10))]
        assert not [entry for entry in tmp_path.iterdir() if is_temporary(entry)]


def test_a_failed_block_publishes_nothing_and_cleans_up(tmp_path: Path) -> None:
    def fail() -> None:
        with publishing_folder(tmp_path / "001") as folder:
            (folder / "half").touch()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert not list(tmp_path.iterdir())


def test_a_link_whose_answer_got_lost_still_counts_as_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def link_twice(source: Path, target: Path) -> None:
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", link_twice)

    assert publish_once(tmp_path / "a", b"a")
    assert not publish_once(tmp_path / "a", b"b")
    assert (tmp_path / "a").read_bytes() == b"a"


@pytest.mark.parametrize("content", [b"", b'{"a"', b"[1]", b"\xff\xfe\xff", b"\0\0\0\0"])
def test_a_damaged_record_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)

    with pytest.raises(RootError, match=rf"{path} is damaged: .*Restore it"):
        read_record(path)
    with pytest.raises(FileNotFoundError):
        read_record(tmp_path / "y.json")


def test_records_take_no_number_that_json_lacks() -> None:
    assert json.loads(to_json({"b": 1, "a": [None]})) == {"a": [None], "b": 1}
    with pytest.raises(ValueError):
        to_json({"loss": float("nan")})


def test_what_is_set_aside_is_no_longer_published_and_may_be_removed_by_several_at_once(
    tmp_path: Path, race: Race
) -> None:
    folder = tmp_path / "whole"
    for number in range(200):
        publish(folder / f"{number}" / "file", OLD)

    aside = set_aside(folder)

    def work(_: int) -> int:
        discard(aside)
        return 0

    assert not folder.exists()
    assert is_temporary(aside)
    assert is_gone(aside)
    assert race(work, 4) == [0] * 4
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_removed_and_not_what_it_leads_to(tmp_path: Path) -> None:
    publish(tmp_path / "kept" / "file", OLD)
    (tmp_path / ".tmp-link").symlink_to(tmp_path / "kept")

    discard(tmp_path / ".tmp-link")

    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
