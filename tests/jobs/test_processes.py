import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.jobs.processes import Process, process, this_process


@contextmanager
def child(name: bytes | None = None) -> Iterator[int]:
    """A process that waits to be killed; not reaped before the block ends."""
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        if name:
            Path("/proc/self/comm").write_bytes(name)
        os.write(tell, b"!")
        signal.pause()
        os._exit(0)
    os.read(ready, 1)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(ready)
        os.close(tell)


def test_this_process_is_alive_under_its_written_name() -> None:
    me = this_process()

    assert me.alive()
    assert (me.host.split("/")[0], me.pid) == (socket.gethostname(), os.getpid())
    assert Process.named(str(me)) == me


def test_another_process_is_alive_until_it_has_ended() -> None:
    with child() as pid:
        other = process(pid)
        assert other.alive()

    assert other.alive() is False
    assert process(pid).alive() is False


def test_a_process_that_only_waits_to_be_reaped_is_not_alive() -> None:
    with child() as pid:
        other = process(pid)
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

        assert other.alive() is False


@pytest.mark.parametrize("name", [b"\xff\xfe\x80", b"a) Z 1 (b", b"two words"])
def test_any_name_of_a_program_will_do(name: bytes) -> None:
    with child(name) as pid:
        assert process(pid).alive()


def test_a_later_process_of_the_same_number_is_another_one() -> None:
    me = this_process()

    assert replace(me, start=me.start - 1).alive() is False


def test_processes_of_another_boot_are_gone_and_of_another_host_unknown() -> None:
    me = this_process()

    assert replace(me, boot="before").alive() is False
    assert replace(me, host="elsewhere").alive() is None


def test_a_process_hidden_from_this_user_may_be_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    with child() as pid:
        gone = process(pid)

    def not_yours(number: int, _: int) -> None:
        raise PermissionError(1, "Operation not permitted", str(number))

    monkeypatch.setattr(os, "kill", not_yours)
    assert gone.alive() is None


def test_a_name_keeps_colons_in_a_host_and_a_torn_one_is_refused() -> None:
    odd = Process("fe80::1", "b", 5, 7)

    assert Process.named(str(odd)) == odd
    with pytest.raises(ValueError):
        Process.named("host:boot:12")
    with pytest.raises(ValueError):
        Process.named("host:boot:12:")
