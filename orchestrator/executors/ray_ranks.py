"""The ranks of a member on one node of a Ray cluster: processes that end with whoever started them.

A trial starts those of its own node itself; on every further node an actor does.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray

from orchestrator.executors.pool import CANNOT_START, rank_environment
from orchestrator.executors.ray_raylet import leave_with_raylet
from orchestrator.jobs.layout import SubmissionFolder
from orchestrator.jobs.submissions import Submission

LEASH = """
import ctypes, os, signal, sys
starter, *command = sys.argv[1:]
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() != int(starter):
    sys.exit(75)
os.execvp(command[0], command)
"""
"""Python that has the kernel ask its process to stop when the thread that started it is gone (1 is
PR_SET_PDEATHSIG), unless it is gone already, and becomes the rank: a killed actor leaves none that
runs on, and those that it had save."""
LOST = -int(signal.SIGKILL)
"""Return code of a rank whose node is gone."""
ANSWER_S = 0.5
"""Seconds that a trial waits for another node: meanwhile it passes no orders on."""


@dataclass(frozen=True, slots=True)
class Post:
    """The ranks of one node: those from ``first`` on, ``count`` of them, which meet at ``address``.

    ``together``: all ranks of the job are on this node.
    """

    first: int
    count: int
    address: str
    together: bool

    def environment(self, submission: Submission, rank: int) -> dict[str, str]:
        """What tells a rank its place, and what it may see; asked on its node."""
        placement = submission.placement
        told = rank_environment(rank, placement.ranks, placement.threads_per_rank)
        told |= {"ORCHESTRATE_LOCAL_RANK": str(rank - self.first), "ORCHESTRATE_RESTART": "0"}
        told["CUDA_VISIBLE_DEVICES"] = ",".join(gpus_given())
        if not self.together:  # they find the interface, as on any cluster
            del told["GLOO_SOCKET_IFNAME"], told["NCCL_SOCKET_IFNAME"]
            told["ORCHESTRATE_ADDRESS"] = self.address
        return told


def gpus_given() -> tuple[str, ...]:
    """The GPUs of this node that Ray has given to this process, by number or name.

    Ray itself hides the others from whoever asked for some, not from who asked for none.
    """
    return tuple(sorted(map(str, ray.get_gpu_ids())))


def start_ranks(
    folder: SubmissionFolder, submission: Submission, index: int, post: Post
) -> list[subprocess.Popen[bytes]]:
    """Start a member's ranks of this node; none is left if one cannot be started.

    Raises:
        OSError: a process or its log could not be made.
    """
    begun: list[subprocess.Popen[bytes]] = []
    try:
        for rank in range(post.first, post.first + post.count):
            begun.append(_start_rank(folder, submission, index, rank, post))  # noqa: PERF401
    except OSError:
        for process in begun:
            process.kill()
            process.wait()
        raise
    return begun


def _start_rank(
    folder: SubmissionFolder, submission: Submission, index: int, rank: int, post: Post
) -> subprocess.Popen[bytes]:
    leash = [sys.executable, "-I", "-S", "-c", LEASH, str(os.getpid())]
    worker = [submission.python, "-P", "-m", "orchestrator.worker", submission.token, str(index)]
    with folder.member_log(index, rank).open("wb") as log:
        return subprocess.Popen(
            [*leash, *worker],
            env={**os.environ, **post.environment(submission, rank)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


class NodeRanks:
    """Ranks on another node than the trial's: an actor there, in the trial's placement group."""

    def __init__(self, folder: Path, index: int, post: Post) -> None:
        leave_with_raylet()
        self._ranks: list[subprocess.Popen[bytes]] = []
        self._fault = ""
        try:  # raised here, it would look as if the node were gone
            submission = Submission.read(SubmissionFolder(folder))
            self._ranks = start_ranks(SubmissionFolder(folder), submission, index, post)
        except OSError as error:
            self._fault = str(error)

    def codes(self) -> list[int | None] | str:
        """Return codes of those that have ended; or why none could be started."""
        return self._fault or [rank.poll() for rank in self._ranks]

    def send(self, position: int, number: int) -> None:
        """Signal one of them, unless it has ended."""
        self._ranks[position].send_signal(number)


@dataclass
class Far:
    """The ranks of another node as the trial sees them; looked at once for all of them."""

    actor: Any
    count: int
    codes: Sequence[int | None] = field(init=False)
    lost: bool = False
    fault: str = ""
    """Why none of them could be started."""
    _asked: Any = None

    def __post_init__(self) -> None:
        self.codes = [None] * self.count

    def look(self) -> None:
        """Ask for their return codes; of a node that is gone, all were lost.

        The answer of one that hangs is taken when it comes.
        """
        if self.lost or None not in self.codes:
            return
        if self._asked is None:
            self._asked = self.actor.codes.remote()
        try:
            told = ray.get(self._asked, timeout=ANSWER_S)
        except ray.exceptions.GetTimeoutError:
            return
        except ray.exceptions.RayActorError:
            self.lost = True
            told = [LOST if code is None else code for code in self.codes]
        self._asked = None
        self.fault = told if isinstance(told, str) else ""
        self.codes = [CANNOT_START] * self.count if self.fault else told

    def send(self, position: int, number: int) -> None:
        """Signal one of them; one that is lost hears nothing."""
        if not self.lost:
            self.actor.send.remote(position, number)


@dataclass
class FarRank:
    """One rank of another node."""

    far: Far
    position: int

    @property
    def returncode(self) -> int | None:
        return self.far.codes[self.position]

    def poll(self) -> int | None:
        return self.returncode

    def send_signal(self, sig: int) -> None:
        self.far.send(self.position, sig)
