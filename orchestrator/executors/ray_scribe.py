"""What a driver of Ray knows of its members, and the only writer of its record.

It is told, in the main thread, what becomes of trials. A thread of its own obeys the orders of the
run root each second, lets searches decide, and sees to it that no member is said to have ended
while it lives.
"""

import os
import signal
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, RLock, Thread

from orchestrator.executors.pool import BEAT_S, ORDERS_S, bearing_with_the_file_server
from orchestrator.executors.pool_log import PoolLogWriter
from orchestrator.executors.pool_member import GRACE_S
from orchestrator.executors.ray_marks import withdraw
from orchestrator.jobs.clock import file_time
from orchestrator.jobs.facts import End, attempt_of
from orchestrator.jobs.layout import Root
from orchestrator.jobs.orders import read_orders, standing_orders
from orchestrator.jobs.processes import Process
from orchestrator.jobs.search import decide
from orchestrator.jobs.submissions import Submission

SETTLE_S = GRACE_S + BEAT_S
"""What was lost and cannot be seen from here is over once it has shown no life for so long; its
ranks are asked to stop, and may be in the middle of an evaluation."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A member of which Ray knows nothing any more: since when (monotonic), and why."""

    since: float
    why: str


@dataclass
class Scribe:
    """Members by what is known of them; each has one end, the first that is told."""

    root: Root
    submission: Submission
    log: PoolLogWriter
    started: dict[int, Process] = field(default_factory=dict)
    asked: set[int] = field(default_factory=set)
    lost: dict[int, Lost] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)
    stopping: bool = False
    """Whether the driver was asked to stop."""
    searches: Sequence[str] = ()
    """The sweeps that search among its jobs."""
    measured: Event = field(default_factory=Event)
    """Set when a job has measured an epoch that the searches have not seen."""
    raylet: Process | None = None
    """What connects the driver with Ray: without it nothing is heard of any trial."""
    _lock: RLock = field(default_factory=RLock)
    _over: Event = field(default_factory=Event)

    @property
    def over(self) -> bool:
        """Whether every member has ended."""
        return self._over.is_set()

    def start(self, index: int, process: Process, gpus: tuple[str, ...]) -> None:
        """Its ranks have started."""
        with self._lock:
            if index not in self.started and index not in self.ended:
                self.started[index] = process
                self.log.start(index, process, gpus)

    def end(self, index: int, how: End) -> None:
        """It has ended, or never will start."""
        with self._lock:
            if index not in self.ended:
                self.log.end(index, how)  # first: what could not be written is told again
                self.ended.add(index)
            if len(self.ended) == len(self.submission.jobs):
                self._over.set()

    def lose(self, index: int, why: str) -> None:
        """Its trial is gone; the ranks are told to stop by the kernel, and may take a while."""
        with self._lock:
            if index not in self.ended:
                self.lost.setdefault(index, Lost(time.monotonic(), why))

    def lose_all(self, why: str) -> None:
        """Nothing of the submission goes on; waits until what had started has ended."""
        for index in range(len(self.submission.jobs)):
            self.lose(index, why)
        self.wait()

    def wait(self) -> None:
        """Until every member has ended."""
        self._over.wait()

    def tend(self) -> None:
        """Obey the orders from now on, in a thread."""
        Thread(target=self._tend, daemon=True).start()

    def _tend(self) -> None:
        next_beat = 0.0
        try:
            while not self._over.wait(ORDERS_S):
                if time.monotonic() >= next_beat:
                    next_beat = time.monotonic() + BEAT_S
                    with bearing_with_the_file_server():
                        self.log.beat()
                self._look_around()
        except BaseException:  # noqa: BLE001 - a driver that obeys no order must not go on
            traceback.print_exc()
            os._exit(1)

    def _look_around(self) -> None:
        """What keeps one of these from being done keeps none of the others."""
        if self.raylet is not None and self.raylet.alive() is False:
            for index in range(len(self.submission.jobs)):
                self.lose(index, "the Ray node of its driver is gone")
        with bearing_with_the_file_server():
            self._bury()
        with bearing_with_the_file_server():
            self.obey()
        self._search()

    def _search(self) -> None:
        """Let searches decide on what is new; again at the next look if others have the lease.

        One that cannot decide is told, and asked again when there is more news: jobs go on.
        """
        if not self.measured.is_set():
            return
        self.measured.clear()  # first: what is measured meanwhile is news again
        for sweep in self.searches:
            try:
                if not decide(self.root, sweep):
                    self.measured.set()
            except Exception as error:  # noqa: BLE001 - whatever became of the sweep's files
                print(f"warning: the search of {sweep}: {error}", flush=True)

    def obey(self) -> None:
        """Withdraw members that wait and are not to run, ask those to stop that run."""
        standing = standing_orders(read_orders(self.root))
        for index, job in enumerate(self.submission.jobs):
            if index in self.ended or index in self.asked:
                continue
            stops = self.stopping or bool(standing.ends(job))
            if (stops or standing.keeps(job)) and self._withdrawn(index):
                why = "the driver was stopped" if self.stopping else "withdrawn before it started"
                self.end(index, End(time.time(), started=False, detail=why))
            elif stops:
                with self._lock:
                    self.log.ask(index)
                    self.asked.add(index)

    def _withdrawn(self, index: int) -> bool:
        """Whether it waited, and now never will start."""
        folder = self.root.submission(self.submission.token)
        return index not in self.started and withdraw(folder, index)

    def _bury(self) -> None:
        """End the lost members that were waiting, are seen gone, or cannot live any more."""
        for index, lost in list(self.lost.items()):
            process, age = self.started.get(index), time.monotonic() - lost.since
            alive = process.alive() if process else None
            if alive and process and age > GRACE_S:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            waited = self._withdrawn(index)
            if waited or alive is False or (alive is None and self._shows_no_life(index, age)):
                how = End(time.time(), started=not waited, by_place=True, detail=lost.why)
                self.end(index, how)
                del self.lost[index]

    def _shows_no_life(self, index: int, age: float) -> bool:
        """Whether a member that was lost so long ago, and cannot be seen, has stopped by now."""
        job = self.root.job(self.submission.jobs[index])
        own = attempt_of(job, self.submission.token, index)
        if own is not None and own.ending is not None:
            return True
        silent = own is None or file_time(self.root.path) - own.heartbeat > SETTLE_S
        return silent and age > SETTLE_S
