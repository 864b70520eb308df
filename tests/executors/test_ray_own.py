"""The cluster of a driver's own."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from orchestrator.executors.ray_ask import QUIET
from orchestrator.executors.ray_own import DEEPEST, LONGEST, base_folder

NAME = "0123456789ab"
ANYBODY = 4294967295
CLUSTER = f"""
from orchestrator.executors.ray_own import own_cluster
with own_cluster({NAME!r}):
    print("up", flush=True)
    input()
"""
LISTENS = "0A"
LOOPBACK = "0100007F"
"""127.0.0.1, also as the last part of an address of IPv6."""


@pytest.mark.parametrize("user", [0, 1000, ANYBODY])
def test_its_folder_is_where_temporary_files_are_wanted_if_its_sockets_have_room_there(
    user: int,
) -> None:
    def sockets(wanted: str) -> str:
        return f"{base_folder(wanted, user, NAME)}/{NAME}{DEEPEST}"

    folders = ["/" + "f" * letters for letters in range(1, 40)]
    kept = [wanted for wanted in folders if sockets(wanted).startswith(wanted)]

    assert kept == folders[: len(kept)]
    assert len(sockets(kept[-1])) == LONGEST
    assert base_folder(folders[-1], user, NAME).parent == Path("/tmp")
    assert len(sockets(folders[-1])) <= LONGEST
    assert base_folder("/" + "é" * 10, ANYBODY, NAME).parent == Path("/tmp")


@pytest.mark.slow
def test_nobody_on_the_network_can_reach_it_and_its_sockets_fit_in_the_deepest_folder(
    tmp_path: Path,
) -> None:
    room = LONGEST - len(f"/o-ray-{os.getuid()}/{NAME}{DEEPEST}")
    folder = Path("/tmp", secrets.token_hex(32)[: room - len("/tmp/")])
    folder.mkdir(mode=0o700)
    key = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    driver = subprocess.Popen(
        [sys.executable, "-P", "-c", CLUSTER],
        env={**os.environ, **QUIET, **key, "TMPDIR": str(folder), "HOME": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert driver.stdout is not None
    assert driver.stdout.readline() == "up\n"

    addresses = [address for pid in _with(key["RAY_AUTH_TOKEN"]) for address in _listening(pid)]
    sockets = list(folder.glob(f"o-ray-*/{NAME}/session_2*/sockets/plasma_store"))
    driver.communicate("\n", timeout=60)

    assert len(addresses) > 3
    assert all(address.endswith(LOOPBACK) for address in addresses)
    assert len(sockets) == 1
    assert list(folder.glob("o-ray-*/*")) == []
    (folder / f"o-ray-{os.getuid()}").rmdir()
    folder.rmdir()


def _with(key: str) -> Iterator[int]:
    """Processes that know the key."""
    told = f"RAY_AUTH_TOKEN={key}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if told in (folder / "environ").read_bytes().split(b"\0"):
                yield int(folder.name)


def _listening(pid: int) -> Iterator[str]:
    """The addresses at which a process listens, as the kernel writes them."""
    held = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            held.add(str(link.readlink()))
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == LISTENS and f"socket:[{rest[5]}]" in held:
                yield local.partition(":")[0]
