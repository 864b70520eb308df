import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.errors import BusyError, RootError
from orchestrator.jobs import lease as module
from orchestrator.jobs.files import to_json
from orchestrator.jobs.layout import Root
from orchestrator.jobs.lease import STALE_S, leased
from orchestrator.jobs.processes import this_process

Race = Callable[[Callable[[int], int], int], list[int]]

ELSEWHERE = {
    "who": "ann",
    "verb": "launch gates",
    "host": "node7",
    "pid": 4711,
    "process": "node7:b:4711:1",
    "since": 1.0,
}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICK_S", 0.005)


def held_by(root: Root, record: dict[str, object], *, age_s: float = 0) -> Path:
    """A lease that somebody else holds."""
    root.lease.mkdir(exist_ok=True)
    file = root.lease / "0123.json"
    file.write_bytes(to_json(record))
    _age(file, age_s)
    return file


def _age(file: Path, seconds: float) -> None:
    past = time.time() - seconds
    os.utime(file, (past, past))


def test_only_one_of_several_processes_holds_the_lease_at_a_time(root: Root, race: Race) -> None:
    alone = root.path / "alone"

    def work(_: int) -> int:
        for _turn in range(12):
            with leased(root.lease, "test", wait_s=20) as lease:
                os.close(os.open(alone, os.O_CREAT | os.O_EXCL))
                assert lease.mine()
                time.sleep(0.001)
                alone.unlink()
        return 0

    assert race(work, 4) == [0, 0, 0, 0]
    assert not list(root.lease.iterdir())


def test_a_stale_lease_is_taken_over_by_exactly_one(root: Root, race: Race) -> None:
    for _turn in range(3):
        stale = held_by(root, ELSEWHERE, age_s=600)

        def work(_: int) -> int:
            try:
                with leased(root.lease, "test", wait_s=0.2):
                    time.sleep(0.6)
            except BusyError:
                return 20
            return 10

        assert sorted(race(work, 4)) == [10, 20, 20, 20]
        assert not stale.exists()


def test_a_lease_of_a_process_killed_on_this_host_is_taken_over_at_once(
    root: Root, race: Race
) -> None:
    def work(_: int) -> int:
        with leased(root.lease, "test"):
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    assert race(work, 1) == [-signal.SIGKILL]
    assert len(list(root.lease.iterdir())) == 1
    with leased(root.lease, "test", wait_s=1) as lease:
        assert lease.mine()


@pytest.mark.parametrize("age_s", [0, STALE_S - 20])
def test_a_fresh_lease_of_another_host_is_kept_and_the_message_names_its_holder(
    root: Root, age_s: float
) -> None:
    file = held_by(root, ELSEWHERE, age_s=age_s)

    with (
        pytest.raises(
            BusyError, match=r"'launch gates' of ann on node7 \(process 4711\). Try again"
        ),
        leased(root.lease, "test", wait_s=0.05),
    ):
        pass
    assert file.exists()


def test_an_unreadable_lease_is_kept_while_fresh_and_taken_over_when_stale(root: Root) -> None:
    file = held_by(root, {})
    file.write_bytes(b"\xff")

    with pytest.raises(BusyError), leased(root.lease, "test", wait_s=0.05):
        pass
    _age(file, 600)
    with leased(root.lease, "test", wait_s=0.05) as lease:
        assert lease.mine()


def test_who_was_taken_over_sees_it_and_does_not_free_the_lease_of_the_other(root: Root) -> None:
    first, second = leased(root.lease, "first"), leased(root.lease, "second", wait_s=1)
    mine = first.__enter__()
    _age(mine.file, 600)
    other = second.__enter__()

    assert not mine.mine()
    assert other.mine()
    first.__exit__(None, None, None)
    assert other.mine()
    with pytest.raises(BusyError, match="'second'"), leased(root.lease, "third", wait_s=0.05):
        pass
    second.__exit__(None, None, None)
    with leased(root.lease, "third", wait_s=0.05):
        pass


def test_a_held_lease_is_renewed_even_after_the_file_server_was_away(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [OSError(5, "Input/output error")] * 2
    utime = os.utime

    def away_at_first(path: Path) -> None:
        if answers:
            raise answers.pop()
        utime(path)

    monkeypatch.setattr(module, "RENEW_S", 0.01)
    with leased(root.lease, "test") as lease:
        _age(lease.file, 600)
        monkeypatch.setattr(os, "utime", away_at_first)
        deadline = time.monotonic() + 5
        while time.time() - lease.file.stat().st_mtime > 60 and time.monotonic() < deadline:
            time.sleep(0.01)

        assert time.time() - lease.file.stat().st_mtime < 60


def test_asking_whether_it_is_mine_renews_it(root: Root) -> None:
    with leased(root.lease, "test") as lease:
        _age(lease.file, 200)

        assert lease.mine()
        assert time.time() - lease.file.stat().st_mtime < 60


def test_an_error_in_the_block_frees_the_lease(root: Root) -> None:
    with pytest.raises(ZeroDivisionError), leased(root.lease, "test"):
        raise ZeroDivisionError

    assert not list(root.lease.iterdir())


def test_the_lease_says_who_holds_it(root: Root) -> None:
    with leased(root.lease, "launch gates") as lease:
        record = module.read_record(lease.file)

    assert record["verb"] == "launch gates"
    assert (record["pid"], record["process"]) == (os.getpid(), str(this_process()))


def test_a_root_that_cannot_be_written_is_an_error_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with (
        pytest.raises(RootError, match="file/runs cannot be written: Not a directory"),
        leased(Root(tmp_path / "file" / "runs").lease, "test"),
    ):
        pass


def test_who_waits_for_a_lease_is_told_for_whom(
    root: Root, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "TELL_S", 0.0)
    held_by(root, ELSEWHERE, age_s=0)

    with pytest.raises(BusyError), leased(root.lease, "test", wait_s=0.5):
        pass

    (told,) = caplog.messages
    assert told.startswith("waiting: ")
    assert "of ann on node7" in told
