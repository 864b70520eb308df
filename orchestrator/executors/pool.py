"""The pool: a program that runs the members of one submission, N at a time.

On this machine it is detached and has a submission to itself; in a cluster's allocation it shares
the submission with the pools of the other allocations. Who is next says its line.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.errors import RootError
from orchestrator.executors.pool_lines import (
    AllocationLine,
    Line,
    MachineLine,
    Seat,
    visible_gpus,
)
from orchestrator.executors.pool_log import PoolLogWriter
from orchestrator.executors.pool_member import Running, end_of
from orchestrator.executors.slurm_limits import gpus_of_allocation
from orchestrator.jobs.facts import STOP_CODES, End
from orchestrator.jobs.layout import Root, SubmissionFolder
from orchestrator.jobs.orders import read_orders, standing_orders
from orchestrator.jobs.processes import process
from orchestrator.jobs.submissions import Submission

TICK_S = 0.2
ORDERS_S = 1.0
BEAT_S = 30.0
WORKER = (sys.executable, "-P", "-m", "orchestrator.worker")
CANNOT_START = 126
"""Exit code recorded for a member whose process could not be made, as a shell would."""


@dataclass
class Pool:
    """One submission's members: waiting in a line, running, ended."""

    root: Root
    submission: Submission
    log: PoolLogWriter
    line: Line
    restart: int = 0
    """How often its place has started it before."""
    running: list[Running] = field(default_factory=list)
    asked: set[int] = field(default_factory=set)
    """The signals by which it was asked to stop."""
    unfinished: int = 0
    """Members that stopped with it, for its next start to go on with."""

    @property
    def folder(self) -> SubmissionFolder:
        return self.root.submission(self.submission.token)

    def run(self) -> int:
        """Run every member to its end; returns the exit code: a neat stop's if some are left."""
        next_orders = next_beat = 0.0
        while self.running or (self.line.waiting and not (self.asked and self.line.resumes)):
            now = time.monotonic()
            self._reap(now)
            if now >= next_orders:
                next_orders = now + ORDERS_S
                with bearing_with_the_file_server():
                    self._stop_members(now)
                    self._obey(now)
            if now >= next_beat:
                next_beat = now + BEAT_S
                with bearing_with_the_file_server():
                    self.log.beat()
            self._fill()
            time.sleep(TICK_S)
        left = self.line.resumes and (self.unfinished or self.line.waiting)
        return STOP_CODES[self._stop_signal().name] if self.asked and left else 0

    def stop(self, number: int, _: object) -> None:
        """Signal handler: start nothing more, ask what runs to stop."""
        self.asked.add(number)

    def _stop_signal(self) -> signal.Signals:
        """What its members are told: USR2, that their time is about to end, only if it is alone."""
        alone = self.asked == {signal.SIGUSR2}
        return signal.SIGUSR2 if alone else signal.SIGTERM

    def _fill(self) -> None:
        """Start members as long as there are places."""
        while not self.asked:
            with bearing_with_the_file_server():
                found = self.line.next([member.seat for member in self.running])
                if found is not None:
                    self._start(*found)
                    continue
            return

    def _reap(self, now: float) -> None:
        for member in list(self.running):
            if not member.reap(now):
                member.hurry(now)
                continue
            self.running.remove(member)
            how = end_of(member, self.root, self.submission)
            if self.asked and self.line.resumes and not member.asked_at and how.exit_code != 0:
                self.unfinished += 1
            else:
                self.log.end(member.index, how)

    def _stop_members(self, now: float) -> None:
        """Once it was asked to stop: end the line and what runs, or leave both to its next start.

        Whoever starts it again also sees to it that it ends in time.
        """
        if not self.asked:
            return
        for member in self.running:
            if self.line.resumes:
                member.tell(self._stop_signal(), now)
            else:
                member.ask(now)
        for index in [] if self.line.resumes else list(self.line.waiting):
            self._withdraw(index, "the pool was stopped")

    def _obey(self, now: float) -> None:
        standing = standing_orders(read_orders(self.root))
        jobs = self.submission.jobs
        for index in [index for index in self.line.waiting if standing.keeps(jobs[index])]:
            self._withdraw(index, "withdrawn before it started")
        for member in self.running:
            if standing.ends(jobs[member.index]):
                member.ask(now)

    def _withdraw(self, index: int, why: str) -> None:
        if self.line.withdraw(index):
            self.log.end(index, End(time.time(), started=False, detail=why))

    def _start(self, index: int, seat: Seat) -> None:
        ranks: list[subprocess.Popen[bytes]] = []
        try:
            for rank in range(self.submission.placement.ranks):
                ranks.append(self._start_rank(index, rank, seat))  # noqa: PERF401 - see except
        except OSError as error:
            for started in ranks:
                started.kill()
                started.wait()
            detail = f"its process could not be started: {error}"
            how = End(time.time(), started=True, exit_code=CANNOT_START, detail=detail)
            self.log.end(index, how)
        else:
            self.running.append(Running(index, ranks, seat))
            self.log.start(index, process(ranks[0].pid), seat.gpus)

    def _start_rank(self, index: int, rank: int, seat: Seat) -> subprocess.Popen[bytes]:
        placement = self.submission.placement
        environment = rank_environment(rank, placement.ranks, placement.threads_per_rank)
        environment["ORCHESTRATE_RESTART"] = str(self.restart)
        if seat.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(seat.gpus)
        with self.folder.member_log(index, rank).open("wb") as log:
            return subprocess.Popen(
                [*self.line.before, *WORKER, self.submission.token, str(index)],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


@contextmanager
def bearing_with_the_file_server() -> Iterator[None]:
    """What cannot be read or touched now is told in the pool's log, and tried again later."""
    try:
        yield
    except (OSError, RootError) as error:
        print(f"warning: {error}", flush=True)


def rank_environment(rank: int, world: int, threads: int) -> dict[str, str]:
    """What tells a rank of this machine its place, and pins its arithmetic to its threads."""
    return {
        "ORCHESTRATE_RANK": str(rank),
        "ORCHESTRATE_WORLD_SIZE": str(world),
        "ORCHESTRATE_LOCAL_RANK": str(rank),
        "ORCHESTRATE_ADDRESS": "127.0.0.1",
        "GLOO_SOCKET_IFNAME": "lo",
        "NCCL_SOCKET_IFNAME": "lo",
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
    }


def main(token: str, allocation: str = "") -> int:
    """Run the submission named by ``token`` of the root in $ORCHESTRATE_ROOT.

    ``allocation``: the number of the one that this is, where it is one of several of a cluster.
    """
    root = Root(Path(os.environ["ORCHESTRATE_ROOT"]))
    submission = Submission.read(root.submission(token))
    pool = (
        _of_allocation(root, submission, int(allocation)) if allocation else _here(root, submission)
    )
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
        signal.signal(number, pool.stop)
    return pool.run()


def _here(root: Root, submission: Submission) -> Pool:
    log = PoolLogWriter(root.submission(submission.token).pool)
    gpus = () if submission.placement.device == "cpu" else visible_gpus()
    return Pool(root, submission, log, MachineLine(root, submission, gpus))


def _of_allocation(root: Root, submission: Submission, allocation: int) -> Pool:
    folder = root.submission(submission.token)
    restart = int(os.environ.get("SLURM_RESTART_COUNT", "0"))
    gpus = visible_gpus() if gpus_of_allocation(submission) else ()
    log = PoolLogWriter(folder.allocation_pool(allocation, restart))
    line = AllocationLine.of(folder, submission, allocation, restart=restart, gpus=gpus)
    return Pool(root, submission, log, line, restart)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
