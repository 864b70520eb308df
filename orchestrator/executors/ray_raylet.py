"""The raylet: Ray's own process on each node, without which nothing there hears of Ray.

Ray lets a driver and busy actors go on for long when theirs is gone; these look for themselves.
"""

import os
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Thread

import ray

from orchestrator.jobs.processes import Process, process

LOOK_S = 0.5


def raylet_here() -> Process | None:
    """The raylet to which this driver is connected; None where other people's are hidden."""
    mine = ray.get_runtime_context().get_node_id()
    every = ray.nodes()  # type: ignore[no-untyped-call]
    socket = next(node["RayletSocketName"] for node in every if node["NodeID"] == mine)
    told = f"--raylet_socket_name={socket}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if told in (folder / "cmdline").read_bytes().split(b"\0"):
                return process(int(folder.name))
    return None


@cache
def leave_with_raylet() -> None:
    """End this actor's process once its raylet, which started it, is gone."""
    starter = os.getppid()

    def look() -> None:
        while os.getppid() == starter:
            time.sleep(LOOK_S)
        os._exit(1)

    Thread(target=look, daemon=True).start()
