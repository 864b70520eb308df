"""A Ray cluster on this machine, as somebody else would have started it."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from support.pool_bench import until

RAY = Path(sys.executable).with_name("ray")


@dataclass(frozen=True)
class RayCluster:
    """One node, which hands out four CPUs and a GPU that is only a number."""

    address: str
    environment: dict[str, str]


@contextmanager
def ray_cluster() -> Iterator[RayCluster]:
    """It lives as long as the block."""
    folder = Path(tempfile.mkdtemp(prefix="o-ray-"))
    with socket.create_server(("", 0)) as held:
        port = held.getsockname()[1]
    key = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    environment = {"RAY_USAGE_STATS_ENABLED": "0", **key}
    head = subprocess.Popen(
        [
            *(str(RAY), "start", "--head", "--block", "--port", str(port)),
            *("--num-cpus", "4", "--num-gpus", "1", "--object-store-memory", "104857600"),
            *("--include-dashboard", "false", "--temp-dir", str(folder)),
            *("--min-worker-port", "0", "--max-worker-port", "0"),
        ],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        marker = folder / "ray_current_cluster"
        until(lambda: marker.exists() and ":" in marker.read_text(), 240)
        yield RayCluster(marker.read_text().strip(), environment)
    finally:
        _end(head)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def further_node(cluster: RayCluster) -> Iterator[int]:
    """A second node, on this machine, too: two CPUs, and a GPU with number 6; gives its raylet."""
    words = ("start", "--block", "--address", cluster.address, "--node-ip-address", "127.0.0.2")
    node = subprocess.Popen(
        [
            *(str(RAY), *words, "--num-cpus", "2", "--num-gpus", "1"),
            *("--object-store-memory", "104857600"),
            *("--min-worker-port", "0", "--max-worker-port", "0"),
        ],
        env={**os.environ, **cluster.environment, "CUDA_VISIBLE_DEVICES": "6"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield until(lambda: _raylet_of(node.pid), 240)
    finally:
        _end(node)


def _raylet_of(pid: int) -> int:
    """The raylet that a node's ``ray start`` has made; 0 before."""
    found = (child for child, line in children(pid).items() if "raylet/raylet" in line)
    return next(found, 0)


def _end(node: subprocess.Popen[bytes]) -> None:
    node.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        node.wait(30)
    node.kill()


def children(pid: int) -> dict[int, str]:
    """Processes that ``pid`` started, by number: their command lines."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            stat = (folder / "stat").read_text()
            if int(stat[stat.rindex(")") + 2 :].split()[1]) == pid:
                found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
    return found


def parent(pid: int) -> int:
    """The process that started ``pid``."""
    stat = Path(f"/proc/{pid}/stat").read_text()
    return int(stat[stat.rindex(")") + 2 :].split()[1])
