"""A Ray cluster of a driver's own, on this machine: started for it, and gone with it.

Its processes are the driver's children and end with it, however it ends; what a killed one leaves
is a folder, which the next one removes.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import ray
from ray._private import ray_constants

from orchestrator.executors.pool_log import look_at_pool
from orchestrator.executors.ray_scribe import Scribe
from orchestrator.executors.ray_share import GB, this_machine
from orchestrator.jobs.gather import read_submissions
from orchestrator.jobs.layout import Root
from orchestrator.jobs.processes import Process, this_process
from orchestrator.jobs.submissions import Submission

TICK_S = 0.5
LONGEST = 107
"""Bytes of a socket's path."""
DEEPEST = "/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"
"""Of Ray's sockets the one with the longest name, in the folder that Ray is given."""
STORE_BYTES = 100 * 2**20
"""Ray's object store: nothing of ours goes through it."""
WHOSE = "driver"


def wait_in_line(scribe: Scribe) -> bool:
    """Let the older drivers of this machine end that have a cluster; False if none is needed.

    Each hands out the whole machine, so two at a time would have it twice.
    """
    older = _older(scribe.root, scribe.submission)
    while any(_at_work(scribe.root, one) for one in older) and not scribe.over:
        time.sleep(TICK_S)
    return not scribe.over


def _older(root: Root, submission: Submission) -> list[Submission]:
    every = read_submissions(root)
    before = every[: [one.token for one in every].index(submission.token)]
    return [one for one in before if one.ray is not None and one.ray.address is None]


def _at_work(root: Root, submission: Submission) -> bool:
    """Whether its driver, or what outlived it, is at work on this machine."""
    log, alive = look_at_pool(root.submission(submission.token).pool)
    if log is None or alive is None:
        return False
    return alive or any(log.started[index].process.alive() for index in log.running())


@contextmanager
def own_cluster(token: str) -> Iterator[None]:
    """Within it, this process is the driver of a cluster that has this machine to hand out.

    Nobody else is let in: it listens on loopback alone, and its key is in the environment of its
    processes (`OWN_KEY`).
    """
    here, folder = this_machine(), _folder(token)
    # So Ray takes loopback. Of `_node_ip_address` it makes an address that the network reaches.
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        ray.init(
            address="local",
            namespace=token,
            num_cpus=int(here.cpus),
            num_gpus=int(here.gpus),
            _memory=int((here.memory_gb or 1) * GB),
            object_store_memory=STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            configure_logging=False,
            _temp_dir=str(folder),
        )
        yield
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def _folder(token: str) -> Path:
    """An empty folder for it, short enough for sockets, after those were removed that nobody uses.

    Raises:
        PermissionError: somebody else has taken its name.
    """
    base = base_folder(tempfile.gettempdir(), os.getuid(), token)
    base.mkdir(mode=0o700, exist_ok=True)
    if base.is_symlink() or base.stat().st_uid != os.getuid():
        raise PermissionError(f"{base} is not yours; have it removed, or set TMPDIR to another one")
    for left in base.iterdir():
        with suppress(OSError, ValueError):
            if Process.named((left / WHOSE).read_text()).alive() is False:
                shutil.rmtree(left, ignore_errors=True)
    folder = base / token
    folder.mkdir()
    (folder / WHOSE).write_text(str(this_process()))
    return folder


def base_folder(wanted: str, uid: int, token: str) -> Path:
    """The folder of a user's clusters: in ``wanted``, unless it is too deep for their sockets."""
    name = f"o-ray-{uid}"
    fits = len(os.fsencode(f"{wanted}/{name}/{token}{DEEPEST}")) <= LONGEST
    return Path(wanted if fits else "/tmp") / name  # noqa: S108 - the shortest there is
