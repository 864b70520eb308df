"""What a driver of Ray knows of its members, and the only writer of its record.

Tune tells it, in the driver's main thread, what becomes of trials; a thread of its own obeys the
orders of the run root each second.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, RLock, Thread
from typing import Any

from ray.tune import Callback, Stopper

from orchestrator.executors.pool import BEAT_S, ORDERS_S, bearing_with_the_file_server
from orchestrator.executors.pool_log import PoolLogWriter
from orchestrator.executors.ray_marks import withdraw
from orchestrator.jobs.facts import End
from orchestrator.jobs.layout import Root
from orchestrator.jobs.orders import read_orders, standing_orders
from orchestrator.jobs.processes import Process
from orchestrator.jobs.submissions import Submission


@dataclass
class Scribe:
    """Members by what is known of them; each has one end, the first that is told."""

    root: Root
    submission: Submission
    log: PoolLogWriter
    started: set[int] = field(default_factory=set)
    asked: set[int] = field(default_factory=set)
    ended: set[int] = field(default_factory=set)
    stopping: bool = False
    """Whether the driver was asked to stop."""
    _lock: RLock = field(default_factory=RLock)
    _leave: Event = field(default_factory=Event)

    @property
    def over(self) -> bool:
        """Whether every member has ended."""
        return len(self.ended) == len(self.submission.jobs)

    def start(self, index: int, process: Process, gpus: tuple[str, ...]) -> None:
        """Its ranks have started."""
        with self._lock:
            if index not in self.started | self.ended:
                self.started.add(index)
                self.log.start(index, process, gpus)

    def end(self, index: int, how: End) -> None:
        """It has ended, or never will start."""
        with self._lock:
            if index not in self.ended:
                self.ended.add(index)
                self.log.end(index, how)

    def end_all(self, why: str) -> None:
        """Nothing of the submission goes on: its place ended what had not."""
        for index in range(len(self.submission.jobs)):
            started = index in self.started
            self.end(index, End(time.time(), started=started, by_place=True, detail=why))

    def tend(self) -> Thread:
        """Obey the orders from now on, in a thread; ``leave`` ends it."""
        thread = Thread(target=self._tend, daemon=True)
        thread.start()
        return thread

    def leave(self) -> None:
        self._leave.set()

    def _tend(self) -> None:
        next_beat = 0.0
        while not self._leave.wait(ORDERS_S):
            with bearing_with_the_file_server():
                self.obey()
                if time.monotonic() >= next_beat:
                    next_beat = time.monotonic() + BEAT_S
                    self.log.beat()

    def obey(self) -> None:
        """Withdraw members that wait and are not to run, ask those to stop that run."""
        standing = standing_orders(read_orders(self.root))
        for index, job in enumerate(self.submission.jobs):
            if index in self.ended | self.asked:
                continue
            if (self.stopping or standing.keeps(job)) and self._withdrawn(index):
                continue
            if self.stopping or job in standing.cancels:
                with self._lock:
                    self.asked.add(index)
                    self.log.ask(index)

    def _withdrawn(self, index: int) -> bool:
        """Whether it waited, and now never will start."""
        if index in self.started or not withdraw(
            self.root.submission(self.submission.token), index
        ):
            return False
        why = "the driver was stopped" if self.stopping else "withdrawn before it started"
        self.end(index, End(time.time(), started=False, detail=why))
        return True


class OfThisProcess:
    """What has a scribe. Tune keeps a copy on disk, which nobody restores: without it."""

    def __init__(self, scribe: Scribe) -> None:
        self._scribe = scribe

    def __getstate__(self) -> dict[str, Any]:
        return {}


class Tidings(OfThisProcess, Callback):
    """What Tune says of its trials, told to a scribe."""

    def on_trial_result(
        self,
        iteration: int,  # noqa: ARG002
        trials: list[Any],  # noqa: ARG002
        trial: Any,
        result: Mapping[str, Any],
        **_: Any,
    ) -> None:
        index = trial.config["index"]
        if "process" in result:
            self._scribe.start(index, Process.named(result["process"]), tuple(result["gpus"]))
        if "how" in result:
            self._scribe.end(index, End(**result["how"]))

    def on_trial_error(
        self,
        iteration: int,  # noqa: ARG002
        trials: list[Any],  # noqa: ARG002
        trial: Any,
        **_: Any,
    ) -> None:
        """Its actor is gone, or could not start the ranks: nothing else ends a trial so."""
        error = None
        with suppress(Exception):
            error = trial.get_pickled_error()
        words = " ".join(str(error or "no word").strip().splitlines()[-1:])
        index = trial.config["index"]
        self._scribe.end(
            index, End(time.time(), started=True, by_place=True, detail=f"Ray lost it: {words}")
        )


class Over(OfThisProcess, Stopper):
    """Lets Tune end once every member has."""

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:  # noqa: ARG002
        return False

    def stop_all(self) -> bool:
        return self._scribe.over
