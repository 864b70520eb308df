"""The pool: a detached program that runs the members of one submission, N at a time.

Pools of one root on one machine stand in line: a younger one starts nothing while an older one
still has members waiting, and counts the older ones' running members as its own, those that
outlived their pool included.
"""

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.errors import RootError
from orchestrator.executors.last_words import last_line
from orchestrator.executors.pool_log import PoolLogWriter, look_at_pool
from orchestrator.jobs.facts import STOP_CODES, End, read_attempts, read_submissions
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
NEAT = (0, *STOP_CODES.values())
WORKER = (sys.executable, "-P", "-m", "orchestrator.worker")
CANNOT_START = 126
"""Exit code recorded for a member whose process could not be made, as a shell would."""


@dataclass
class Running:
    """A member whose ranks were started."""

    index: int
    ranks: list[subprocess.Popen[bytes]]
    gpus: tuple[str, ...]
    first_exit: tuple[int, int] | None = None
    """(rank, return code) of the first rank that failed."""
    asked_at: float | None = None
    leave_at: float | None = None

    def reap(self, now: float) -> bool:
        """Take note of ranks that ended; True when all have.

        After rank 0 ended well nothing that befalls the others is a failure: those still there
        wait for a claim that does not come, and are ended.
        """
        codes = {rank: ended.poll() for rank, ended in enumerate(self.ranks)}
        if self.leave_at is None:
            bad = [(r, code) for r, code in codes.items() if code is not None and code not in NEAT]
            if bad:  # who was killed comes first: the others fell over its silence
                self.first_exit = min(bad, key=lambda one: one[1] > 0)
            if bad or codes[0] is not None:
                self.leave_at = now + LEAVE_S
        return None not in codes.values()

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
    gpus: tuple[str, ...]
    waiting: deque[int] = field(init=False)
    running: list[Running] = field(default_factory=list)
    older: list[Submission] = field(init=False)
    """The pools before this one in the line; those that have ended are struck off."""
    stopping: bool = False

    def __post_init__(self) -> None:
        self.waiting = deque(range(len(self.submission.jobs)))
        every = read_submissions(self.root)
        self.older = every[: [one.token for one in every].index(self.submission.token)]

    @property
    def folder(self) -> SubmissionFolder:
        return self.root.submission(self.submission.token)

    def run(self) -> None:
        """Run every member to its end."""
        next_orders = next_beat = 0.0
        while self.waiting or self.running:
            now = time.monotonic()
            self._reap(now)
            with _bearing_with_the_file_server():
                if now >= next_orders:
                    next_orders = now + ORDERS_S
                    self._obey(now)
                if now >= next_beat:
                    next_beat = now + BEAT_S
                    self.log.beat()
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
        jobs = self.submission.jobs
        for index in [i for i in self.waiting if self.stopping or standing.keeps(jobs[i])]:
            self.waiting.remove(index)
            detail = "the pool was stopped" if self.stopping else "withdrawn before it started"
            self.log.end(index, End(time.time(), started=False, detail=detail))
        for member in self.running:
            if self.stopping or jobs[member.index] in standing.cancels:
                member.ask(now)

    def _free_place(self) -> tuple[str, ...] | None:
        """GPUs for one more member (none where there are none), or None when all is taken."""
        if self.stopping:
            return None
        others = list(self._older_pools())
        if any(waiting for waiting, _ in others):
            return None
        taken = [gpus for _, running in others for gpus in running] + [m.gpus for m in self.running]
        if len(taken) >= (self.submission.max_parallel or 1):
            return None
        if not self.gpus:
            return ()
        free = [gpu for gpu in self.gpus if not any(gpu in gpus for gpus in taken)]
        wanted = self.submission.placement.ranks
        return tuple(free[:wanted]) if len(free) >= wanted else None

    def _older_pools(self) -> Iterator[tuple[int, list[tuple[str, ...]]]]:
        """Of each older pool on this machine: members waiting, GPUs of members running."""
        for other in list(self.older):
            log, alive = look_at_pool(self.root.submission(other.token).pool)
            if log is None:
                continue
            running = [log.started[i] for i in log.running()]
            here = [one.gpus for one in running if alive or one.process.alive()]
            if alive:
                yield len(other.jobs) - len(set(log.started) | set(log.ended)), here
            elif here:
                yield 0, here
            else:
                self.older.remove(other)

    def _start(self, index: int, gpus: tuple[str, ...]) -> None:
        ranks: list[subprocess.Popen[bytes]] = []
        try:
            for rank in range(self.submission.placement.ranks):
                ranks.append(self._start_rank(index, rank, gpus))  # noqa: PERF401 - see except
        except OSError as error:
            for started in ranks:
                started.kill()
                started.wait()
            detail = f"its process could not be started: {error}"
            how = End(time.time(), started=True, exit_code=CANNOT_START, detail=detail)
            self.log.end(index, how)
        else:
            self.log.start(index, process(ranks[0].pid), gpus)
            self.running.append(Running(index, ranks, gpus))

    def _start_rank(self, index: int, rank: int, gpus: tuple[str, ...]) -> subprocess.Popen[bytes]:
        placement = self.submission.placement
        environment = rank_environment(rank, placement.ranks, placement.threads_per_rank)
        if gpus:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
        with self.folder.member_log(index, rank).open("wb") as log:
            return subprocess.Popen(
                [*WORKER, self.submission.token, str(index)],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _how_ended(self, member: Running) -> End:
        rank, code = member.first_exit or (0, member.ranks[0].returncode)
        return End(
            time.time(),
            started=True,
            by_place=member.asked_at is not None and code != 0,
            exit_code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            rank=rank,
            detail=self._last_words(member.index, rank) if member.first_exit else "",
        )

    def _last_words(self, index: int, rank: int) -> str:
        """The last line of a rank: in its attempt's log, or before it claimed the job."""
        folder = self.root.job(self.submission.jobs[index])
        logs = [
            folder.attempt(attempt.number).log(rank)
            for attempt in read_attempts(folder)
            if (attempt.start.token, attempt.start.index) == (self.submission.token, index)
        ]
        logs = [*reversed(logs), self.folder.member_log(index, rank)]
        return next((words for log in logs if (words := last_line(log))), "")


@contextmanager
def _bearing_with_the_file_server() -> Iterator[None]:
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


def visible_gpus() -> tuple[str, ...]:
    """GPUs of this machine that this process may use, by number or by name (UUID)."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is None:
        return tuple(map(str, range(len(list(Path("/proc/driver/nvidia/gpus").glob("*"))))))
    named = [part.strip() for part in allowed.split(",")]
    return tuple(part for part in named if part.isdigit() or part.startswith(("GPU-", "MIG-")))


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
