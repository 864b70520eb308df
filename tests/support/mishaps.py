"""A sweep on a SLURM that errs at random, and what is true of its jobs meanwhile."""

import json
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fakes.arrays import OPEN, Task, leave
from fakes.place import ELSEWHERE

from orchestrator.controller import submit, survey
from orchestrator.executors import slurm, slurm_queries, slurm_room
from orchestrator.jobs.clock import file_time
from orchestrator.jobs.facts import Ending
from orchestrator.jobs.files import publish, to_json
from orchestrator.jobs.layout import AttemptFolder
from orchestrator.jobs.state import State
from orchestrator.worker import claim
from support.rounds import Rounds

JOBS = tuple("abcdef")
LATEST_S = 40.0
"""What a worker wrote last is visible by then."""
UNLUCKY = 2
"""So often at most a job loses its node: more would rightly be given up."""
HIDING = ("half", "silent")
ERRORS = {
    "squeue": ("down", "slow", "silent", "half", "half and failing", "cut"),
    "sacct": ("down", "slow", "silent", "half", "half and failing", "cut"),
    "sbatch": ("down", "unheard", "busy"),
}
AT_WORK = {State.RUNNING, State.QUEUED, State.UNKNOWN}


@dataclass
class Mishaps:
    """``seed`` decides everything; ``told`` is what happened, for whoever reads a failure."""

    rounds: Rounds
    seed: int
    ahead_s: float = 0.0
    """By how much the time of this world is ahead of the machine's."""
    alive: dict[Path, AttemptFolder] = field(default_factory=dict)
    """Workers that are at it, by the file of their task."""
    late: list[tuple[float, AttemptFolder]] = field(default_factory=list)
    """What is written, and when it will be visible."""
    finished: set[str] = field(default_factory=set)
    cancelled: set[str] = field(default_factory=set)
    unlucky: dict[str, int] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)  # noqa: S311 - of mishaps
        self.rounds.launched("s", *JOBS)

    def move_clocks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in (survey, slurm, slurm_room, submit, claim):
            monkeypatch.setattr(module, "file_time", lambda path: file_time(path) + self.ahead_s)
        monkeypatch.setattr(slurm_queries, "ANSWER_S", 0.5)

    @property
    def now(self) -> float:
        return time.time() + self.ahead_s

    def tasks(self, *, waiting: bool = False, starting: bool = False) -> list[Task]:
        """Those of SLURM's that wait, or have begun without a worker that claimed."""
        tasks = list(self.rounds.site.tasks())
        return [
            task
            for task in tasks
            if (waiting and task.state == "PENDING")
            or (starting and task.state == "RUNNING" and task.file not in self.alive)
        ]

    def job(self, task: Task) -> str:
        return task.membership(self.rounds.root).job

    def step(self) -> None:
        """One thing happens, and everybody who looks is told the truth."""
        act = self.dice.choices(list(ACTS), list(ACTS.values()))[0]
        said = act(self)
        if said:
            self.told.append(said)
            self.is_told_truly()

    # What happens

    def one_begins(self) -> str:
        return self._one(self.tasks(waiting=True), lambda task: task.becomes("RUNNING"), "begins")

    def one_claims(self) -> str:
        return self._one(self.tasks(starting=True), self.begins_its_work, "claims")

    def one_finishes(self) -> str:
        return self._one(self._working(), self._finishes, "finishes")

    def one_is_preempted(self) -> str:
        return self._one(self._working(), self._is_preempted, "is preempted and requeued")

    def one_loses_its_node(self) -> str:
        tasks = [*self._working(), *self.tasks(starting=True)]
        lucky = [task for task in tasks if self.unlucky.get(self.job(task), 0) < UNLUCKY]
        return self._one(lucky, self._loses_its_node, "loses its node")

    def one_is_cancelled(self) -> str:
        tasks = [*self._working(), *self.tasks(waiting=True)]
        return self._one(tasks, self._is_cancelled, "is cancelled from outside")

    def one_is_forgotten(self) -> str:
        """What ended is no longer in the queue, and what runs may have been lost sight of."""
        ended = [
            task
            for task in self.rounds.site.tasks()
            if task.state not in OPEN and self.job(task) not in self.cancelled
        ]
        tasks = [*ended, *self._working()]
        return self._one(tasks, self._is_forgotten, "is forgotten")

    def something_breaks(self) -> str:
        command = self.dice.choice(list(ERRORS))
        fault = self.dice.choice(ERRORS[command])
        others = [self.wrong.get(name) for name in ("squeue", "sacct") if name != command]
        if command != "sbatch" and fault in HIDING and set(others) & set(HIDING):
            return ""  # if both hide a waiting job at the same time, nobody can know of it
        self.wrong[command] = fault
        self.rounds.site.errs(command, fault)
        return f"{command} is {fault}"

    def everything_breaks(self) -> str:
        for command in ERRORS:
            self.wrong[command] = "down"
            self.rounds.site.errs(command, "down")
        return "SLURM is down"

    def all_is_mended(self) -> str:
        self.wrong.clear()
        self.rounds.site.mended()
        return "all is mended"

    def time_passes(self) -> str:
        seconds = self.dice.choice((2, 20, 61, 90, 400))
        self.passes(seconds)
        return f"{seconds} s pass"

    def somebody_watches(self) -> str:
        before = {task.file for task in self.rounds.site.tasks()}
        busy = {self.job(task) for task in self.tasks(waiting=True, starting=True)}
        busy |= {self.job(task) for task in self._working()}
        self.rounds.round()
        for folder in self.rounds.root.submissions():
            if time.time() - folder.intent.stat().st_mtime < abs(self.ahead_s) + 5:
                self._stamp(folder.intent)
        new = [task for task in self.rounds.site.tasks() if task.file not in before]
        jobs = [self.job(task) for task in new]
        assert len(set(jobs)) == len(jobs), self.told
        assert not set(jobs) & self.finished, self.told
        assert not set(jobs) & self.cancelled, self.told
        for job in set(jobs) & busy:
            assert self._given_up_by_us(job), f"{job} a second time: {self.told}"
        return f"a watch: {' '.join(jobs)}"

    # What must be told

    def is_told_truly(self) -> None:
        told = self.rounds.states(*JOBS)
        for task in (*self._working(), *self.tasks(waiting=True, starting=True)):
            job = self.job(task)
            if not self._given_up_by_us(job) and job not in self.finished:
                assert told[job] in AT_WORK, f"{job} is {told[job]}: {self.told}"
        for job in self.finished:
            assert told[job] in {State.DONE, *AT_WORK}, f"{job} is {told[job]}: {self.told}"

    def passes(self, seconds: float) -> None:
        self.ahead_s += seconds
        for due, attempt in list(self.late):
            if due <= self.now:
                self.late.remove((due, attempt))
                leave(attempt, Ending.FINISHED)
        for attempt in self.alive.values():
            self._stamp(attempt.started)

    def comes_to_its_end(self) -> None:
        """Nothing goes wrong any more."""
        self.all_is_mended()
        for task in self.rounds.site.tasks():
            if task.state in OPEN:
                task.becomes(task.state)
        for _ in range(20):
            for task in self.tasks(waiting=True):
                task.becomes("RUNNING")
            for task in self.tasks(starting=True):
                self.begins_its_work(task)
            for task in self._working():
                self._finishes(task)
            self.passes(400)
            self.somebody_watches()
            if self.rounds.round().settled:
                break
        told = self.rounds.states(*JOBS)
        assert {job for job in JOBS if told[job] is State.DONE} == self.finished, self.told
        for job in {*JOBS} - self.finished:
            assert told[job] is not State.UNKNOWN, f"{job}: {self.told}"
            assert job in self.cancelled or self.unlucky.get(job), f"{job}: {self.told}"
        exits = self.rounds.root.path.glob("jobs/*/*/attempts/*/exit.json")
        ends = [path.parents[2].name for path in exits if '"finished"' in path.read_text()]
        assert sorted(ends) == sorted(self.finished), self.told

    # How

    def _one(self, tasks: list[Task], act: Callable[[Task], None], said: str) -> str:
        if not tasks:
            return ""
        task = self.dice.choice(tasks)
        name = f"{self.job(task)} ({task.file.parent.name}_{task.index})"
        act(task)
        return f"{name} {said}"

    def _working(self) -> list[Task]:
        return [task for task in self.rounds.site.tasks() if task.file in self.alive]

    def begins_its_work(self, task: Task) -> None:
        """Its worker claims the job, or finds that it must not."""
        claimed = task.starts(self.rounds.root)
        if not isinstance(claimed, AttemptFolder):
            task.becomes("COMPLETED", end=self.now)
            return
        told = json.loads(claimed.started.read_bytes())
        publish(claimed.started, to_json({**told, "process": ELSEWHERE}))
        self._stamp(claimed.started)
        self.alive[task.file] = claimed

    def _finishes(self, task: Task) -> None:
        attempt = self.alive.pop(task.file)
        self.finished.add(self.job(task))
        task.becomes("COMPLETED", end=self.now)
        if self.dice.random() < 0.5:
            self.late.append((self.now + self.dice.uniform(1, LATEST_S), attempt))
        else:
            leave(attempt, Ending.FINISHED)

    def _is_preempted(self, task: Task) -> None:
        leave(self.alive.pop(task.file), Ending.STOPPED)
        task.becomes("PENDING", restart=task.restart + 1)

    def _loses_its_node(self, task: Task) -> None:
        self.alive.pop(task.file, None)
        self.unlucky[self.job(task)] = self.unlucky.get(self.job(task), 0) + 1
        if self.dice.random() < 0.5:
            task.becomes("PENDING", restart=task.restart + 1)
        else:
            task.becomes("NODE_FAIL", end=self.now)

    def _is_cancelled(self, task: Task) -> None:
        self.cancelled.add(self.job(task))
        if task.file in self.alive:
            leave(self.alive.pop(task.file), Ending.STOPPED)
            task.becomes("CANCELLED", 15, end=self.now)
        else:  # of one that never started SLURM keeps no record
            task.becomes("CANCELLED", where="both" if task.restart else "none", end=self.now)

    def _is_forgotten(self, task: Task) -> None:
        where = "none" if task.file in self.alive else self.dice.choice(("sacct", "none"))
        words = task.file.read_text().split()
        task.becomes(task.state, int(words[1]), where=where, end=float((words + ["0"] * 4)[5]))

    def _given_up_by_us(self, job: str) -> bool:
        """Whether a submission of it counts as refused, so that its worker will leave."""
        root = self.rounds.root
        tasks = [task for task in self.rounds.site.tasks() if self.job(task) == job]
        return any(root.submission(task.token).refused.exists() for task in tasks)

    def _stamp(self, path: Path) -> None:
        os.utime(path, (self.now, self.now))


ACTS: dict[Callable[[Mishaps], str], int] = {
    Mishaps.one_begins: 6,
    Mishaps.one_claims: 6,
    Mishaps.one_finishes: 2,
    Mishaps.one_is_preempted: 2,
    Mishaps.one_loses_its_node: 1,
    Mishaps.one_is_cancelled: 1,
    Mishaps.one_is_forgotten: 2,
    Mishaps.something_breaks: 4,
    Mishaps.everything_breaks: 1,
    Mishaps.all_is_mended: 2,
    Mishaps.time_passes: 5,
    Mishaps.somebody_watches: 5,
}
