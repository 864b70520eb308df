"""The pool: a detached program that runs the members of one submission, N at a time.

Pools of one root on one machine stand in line: a younger one starts nothing while an older one
still has members waiting, and counts the older ones' running members as its own.
"""

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.executors.pool_log import PoolLogWriter, read_pool_log
from orchestrator.jobs.facts import End, read_submissions
from orchestrator.jobs.layout import Root, SubmissionFolder
from orchestrator.jobs.orders import read_orders, standing_orders
from orchestrator.jobs.processes import process
from orchestrator.jobs.submissions import Submission

TICK_S = 0.2
ORDERS_S = 1.0
BEAT_S = 30.0
LEAVE_S = 20.0
"""How long the other ranks may go on after one failed, and after they were asked to stop."""
GRACE_S = 60.0
"""How long a member may take to stop when it was asked to."""
WORKER = (sys.executable, "-P", "-m", "orchestrator.worker")
STOPPED = 75
"""Exit code of a worker that stopped neatly (sysexits.h: EX_TEMPFAIL)."""


@dataclass
class Running:
    """A member whose ranks were started."""

    index: int
    ranks: list[subprocess.Popen[bytes]]
    gpus: tuple[int, ...]
    first_exit: tuple[int, int] | None = None
    """(rank, return code) of the first rank that failed."""
    asked_at: float | None = None
    leave_at: float | None = None

    def reap(self, now: float) -> bool:
        """Take note of ranks that ended; True when all have."""
        for rank, ended in enumerate(self.ranks):
            code = ended.poll()
            if code is None:
                continue
            if code not in (0, STOPPED) and self.first_exit is None:
                self.first_exit = (rank, code)
            if (rank == 0 or self.first_exit) and self.leave_at is None:
                self.leave_at = now + LEAVE_S
        return all(rank.returncode is not None for rank in self.ranks)

    def ask(self, now: float) -> None:
        """Ask every rank to stop; asking again is harmless."""
        self.asked_at = self.asked_at or now
        self._signal(signal.SIGTERM)

    def hurry(self, now: float) -> None:
        """End ranks that are left over, or did not stop when asked."""
        if self.leave_at and now > self.leave_at:
            self._signal(signal.SIGKILL if now > self.leave_at + LEAVE_S else signal.SIGTERM)
        if self.asked_at and now > self.asked_at + GRACE_S:
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        for rank in self.ranks:
            if rank.poll() is None:
                rank.send_signal(number)


@dataclass
class Pool:
    """One submission's members: waiting, running, ended."""

    root: Root
    submission: Submission
    log: PoolLogWriter
    gpus: tuple[int, ...]
    waiting: deque[int] = field(init=False)
    running: list[Running] = field(default_factory=list)
    stopping: bool = False

    def __post_init__(self) -> None:
        self.waiting = deque(range(len(self.submission.jobs)))

    @property
    def folder(self) -> SubmissionFolder:
        return self.root.submission(self.submission.token)

    def run(self) -> None:
        """Run every member to its end."""
        next_orders = next_beat = 0.0
        while self.waiting or self.running:
            now = time.monotonic()
            self._reap(now)
            if now >= next_orders:
                self._obey(now)
                next_orders = now + ORDERS_S
            if now >= next_beat:
                self.log.beat()
                next_beat = now + BEAT_S
            while self.waiting and (place := self._free_place()) is not None:
                self._start(self.waiting.popleft(), place)
            time.sleep(TICK_S)

    def stop(self, *_: object) -> None:
        """Signal handler: start nothing more, ask what runs to stop."""
        self.stopping = True

    def _reap(self, now: float) -> None:
        for member in list(self.running):
            if member.reap(now):
                self.running.remove(member)
                self.log.end(member.index, self._how_ended(member))
            else:
                member.hurry(now)

    def _obey(self, now: float) -> None:
        standing = standing_orders(read_orders(self.root))
        cancelled = {i for i, job in enumerate(self.submission.jobs) if job in standing}
        gone = list(self.waiting) if self.stopping else [i for i in self.waiting if i in cancelled]
        for index in gone:
            self.waiting.remove(index)
            detail = "the pool was stopped" if self.stopping else "cancelled before it started"
            self.log.end(index, End(time.time(), started=False, detail=detail))
        for member in self.running:
            if self.stopping or member.index in cancelled:
                member.ask(now)

    def _free_place(self) -> tuple[int, ...] | None:
        """GPUs for one more member (none where there are none), or None when all is taken."""
        others = list(self._older_pools())
        if self.stopping or any(waiting for waiting, _ in others):
            return None
        taken = [gpus for _, running in others for gpus in running] + [m.gpus for m in self.running]
        if len(taken) >= self.submission.max_parallel:
            return None
        if not self.gpus:
            return ()
        free = [gpu for gpu in self.gpus if not any(gpu in gpus for gpus in taken)]
        wanted = self.submission.placement.ranks
        return tuple(free[:wanted]) if len(free) >= wanted else None

    def _older_pools(self) -> Iterator[tuple[int, list[tuple[int, ...]]]]:
        """Of each older live pool on this machine: members waiting, GPUs of members running."""
        for other in read_submissions(self.root):
            if other.token == self.submission.token:
                return
            log = read_pool_log(self.root.submission(other.token).pool)
            if log and log.process.alive():
                waiting = len(other.jobs) - len(set(log.started) | set(log.ended))
                yield waiting, [log.started[index].gpus for index in log.running()]

    def _start(self, index: int, gpus: tuple[int, ...]) -> None:
        placement = self.submission.placement
        ranks = []
        for rank in range(placement.ranks):
            environment = rank_environment(rank, placement.ranks, placement.threads_per_rank)
            if gpus:
                environment["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, gpus))
            with self.folder.member_log(index, rank).open("wb") as log:
                ranks.append(
                    subprocess.Popen(
                        [*WORKER, self.submission.token, str(index)],
                        env={**os.environ, **environment},
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                )
        self.log.start(index, process(ranks[0].pid), gpus)
        self.running.append(Running(index, ranks, gpus))

    def _how_ended(self, member: Running) -> End:
        if member.first_exit is None:
            return End(time.time(), started=True, exit_code=member.ranks[0].returncode)
        rank, code = member.first_exit
        return End(
            time.time(),
            started=True,
            by_place=member.asked_at is not None,
            exit_code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            detail=last_line(self.folder.member_log(member.index, rank)),
        )


def rank_environment(rank: int, world: int, threads: int) -> dict[str, str]:
    """What tells a rank of this machine its place, and pins its arithmetic to its threads."""
    return {
        "ORCHESTRATE_RANK": str(rank),
        "ORCHESTRATE_WORLD_SIZE": str(world),
        "ORCHESTRATE_LOCAL_RANK": str(rank),
        "ORCHESTRATE_ADDRESS": "127.0.0.1",
        "GLOO_SOCKET_IFNAME": "lo",
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
    }


def visible_gpus() -> tuple[int, ...]:
    """GPUs of this machine that this process may use."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        return tuple(int(part) for part in allowed.split(",") if part.strip().isdigit())
    return tuple(range(len(list(Path("/proc/driver/nvidia/gpus").glob("*")))))


def last_line(path: Path, limit: int = 400) -> str:
    """The last line of a log that says something."""
    text = path.read_bytes()[-8192:].decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][-limit:] if lines else ""


def main(token: str) -> None:
    """Run the submission named by ``token`` of the root in $ORCHESTRATE_ROOT."""
    root = Root(Path(os.environ["ORCHESTRATE_ROOT"]))
    submission = Submission.read(root.submission(token))
    log = PoolLogWriter(root.submission(token).pool)
    gpus = () if submission.placement.device == "cpu" else visible_gpus()
    pool = Pool(root, submission, log, gpus)
    signal.signal(signal.SIGTERM, pool.stop)
    signal.signal(signal.SIGINT, pool.stop)
    pool.run()


if __name__ == "__main__":
    main(sys.argv[1])
