"""This machine as a place: every submission is a detached pool (see ``pool``)."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from signal import SIGTERM

from orchestrator.errors import Refused, Unclear
from orchestrator.executors.base import Admission, Observation
from orchestrator.executors.last_words import last_line
from orchestrator.executors.pool_lines import visible_gpus
from orchestrator.executors.pool_log import PoolLog, look_at_pool, read_pool_log
from orchestrator.jobs.clock import file_time
from orchestrator.jobs.compilers import missing_compiler
from orchestrator.jobs.evidence import LIVE_S, Sight, Sighting
from orchestrator.jobs.facts import End
from orchestrator.jobs.layout import Root
from orchestrator.jobs.submissions import Submission

START_S = 30.0


@dataclass(frozen=True, slots=True)
class LocalExecutor:
    """Runs submissions on this machine, as long as it is on."""

    root: Root
    interval_s: float = 1.0

    def check(self, submission: Submission) -> list[str]:
        refusals = []
        if find_spec("torch") is None:
            refusals.append(
                f"{sys.executable} has no torch, so it cannot train on this machine; "
                "try: pip install 'orchestrate-vit[train]'"
            )
        gpus, placement = len(visible_gpus()), submission.placement
        cores = os.cpu_count() or 1
        if placement.threads_per_rank > cores:
            refusals.append(
                f"placement.threads_per_rank is {placement.threads_per_rank}, but this machine has "
                f"{cores} core(s)"
            )
        on_gpus = placement.device == "cuda" or (placement.device == "auto" and gpus > 0)
        if on_gpus and placement.ranks > gpus:
            refusals.append(
                f"placement.device is {placement.device} and placement.ranks {placement.ranks}, "
                f"but this machine offers {gpus} GPU(s); use fewer ranks, or device: cpu"
            )
        if placement.compile and (lack := missing_compiler("cuda" if on_gpus else "cpu")):
            refusals.append(lack)
        if os.pathsep in str(self.root.path):
            refusals.append(
                f"the run root {self.root.path} has a '{os.pathsep}' in its path, which Python "
                "cannot have on its module path; choose another one with --root"
            )
        return refusals

    def admit(
        self,
        submissions: Sequence[Submission],
        *,
        under_way: int,  # noqa: ARG002
        reserved: int,  # noqa: ARG002
        gpus: int,  # noqa: ARG002
    ) -> Admission:
        """All of them: pools count what the pools before them run. None means a core a thread."""
        return Admission(
            tuple(
                one.model_copy(update={"max_parallel": one.max_parallel or _as_cores_allow(one)})
                for one in submissions
            )
        )

    def render(self, submission: Submission) -> str:
        quoted = {
            "code": self.root.snapshots / submission.snapshot,
            "root": self.root.path,
            "data": submission.data_root,
            "python": submission.python,
            "token": submission.token,
        }
        q = {name: shlex.quote(str(value)) for name, value in quoted.items()}
        return (
            "#!/bin/sh\n"
            f"export PYTHONPATH={q['code']}${{PYTHONPATH:+:$PYTHONPATH}}\n"
            f"export ORCHESTRATE_ROOT={q['root']} ORCHESTRATE_DATA={q['data']}\n"
            f"exec {q['python']} -P -m orchestrator.executors.pool {q['token']}\n"
        )

    def submit(self, submission: Submission) -> str:
        folder = self.root.submission(submission.token)
        log = folder.logs / "pool.log"
        with log.open("wb") as output:
            started = subprocess.Popen(
                ["/bin/sh", str(folder.script)],
                cwd=self.root.path,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            ended = started.poll() is not None  # before the look: it may be quick
            if (pool := read_pool_log(folder.pool)) is not None:
                return str(pool.process)
            if ended:
                raise Refused(f"The pool did not start: {last_line(log) or 'no word'} (see {log})")
            time.sleep(0.02)
        raise Unclear(f"The pool of submission {submission.token} has not answered yet (see {log})")

    def find(self, tokens: Collection[str]) -> dict[str, str]:
        logs = {token: read_pool_log(self.root.submission(token).pool) for token in tokens}
        return {token: str(log.process) for token, log in logs.items() if log}

    def observe(self, submissions: Sequence[Submission]) -> Observation:
        now = file_time(self.root.path)
        seen: dict[tuple[str, int], Sighting] = {}
        for submission in submissions:
            log, alive = look_at_pool(self.root.submission(submission.token).pool)
            if log is None:
                continue
            if alive is None and now - log.touched < LIVE_S:
                alive = True
            for index, sighting in _sightings(log, len(submission.jobs), alive=alive, now=now):
                seen[submission.token, index] = sighting
        return Observation(seen)

    def cancel(self, members: Collection[tuple[str, int]]) -> list[str]:
        """A live pool reads the orders itself; only what outlived its pool is signalled here."""
        for token, index in members:
            log, alive = look_at_pool(self.root.submission(token).pool)
            if log is None or alive is not False or index not in log.running():
                continue
            orphan = log.started[index].process
            if orphan.alive():
                with suppress(ProcessLookupError):
                    os.killpg(orphan.pid, SIGTERM)
        return []

    def member_handle(self, handle: str, token: str, index: int) -> str:  # noqa: ARG002
        """A pool's own: its members are found by their index in it."""
        return handle


def _as_cores_allow(submission: Submission) -> int:
    """Jobs at a time on this machine: a core for each thread."""
    placement = submission.placement
    return max(1, len(os.sched_getaffinity(0)) // (placement.ranks * placement.threads_per_rank))


def _sightings(
    log: PoolLog, members: int, *, alive: bool | None, now: float
) -> Iterator[tuple[int, Sighting]]:
    """What is known of each member; nothing of those of a silent pool on another machine."""
    for index in range(members):
        if index in log.ended:
            yield index, Sighting(Sight.ENDED, log.ended[index])
        elif index in log.started and (alive or log.started[index].process.alive()):
            yield index, Sighting(Sight.RUNNING)
        elif alive:
            yield index, Sighting(Sight.WAITING)
        elif alive is False:
            end = End(now, started=index in log.started, by_place=True, detail="its pool is gone")
            yield index, Sighting(Sight.ENDED, end)
