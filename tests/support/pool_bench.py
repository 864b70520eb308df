"""A run root whose jobs are done by ``stand_in`` instead of torch; processes are real."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.config import Placement
from orchestrator.executors import EXECUTORS
from orchestrator.executors.local import LocalExecutor
from orchestrator.executors.pool_log import PoolLog, read_pool_log
from orchestrator.jobs.code import hash_files, package_files
from orchestrator.jobs.layout import AttemptFolder, Root
from orchestrator.jobs.processes import Process, process
from orchestrator.jobs.store import create_root
from orchestrator.jobs.submissions import Submission, write_intent, write_submitted
from orchestrator.sweep.expand import Sweep
from orchestrator.sweep.load import load_sweep

STAND_IN = Path(__file__).with_name("stand_in.py")
QUICKLY = {"LEAVE_S = 20.0": "LEAVE_S = 0.6", "GRACE_S = 60.0": "GRACE_S = 1.5"}
SWEEP = """
name: {name}
set:
  data: {{name: digits}}
  model: {{img_size: 8, patch_size: 4, in_chans: 1, num_classes: 10, dim: 16, depth: 1, heads: 2}}
  train: {{epochs: 10, batch_size: 96, chunk: 32}}
placement: {{device: cpu}}
max_parallel: 2
"""
T = TypeVar("T")


def until(look: Callable[[], T], seconds: float = 60.0) -> T:
    """What ``look`` gives once it is true; a test that waits longer fails."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return found


def job_named(name: str) -> str:
    return hashlib.blake2b(name.encode(), digest_size=16).hexdigest()


@dataclass
class Bench:
    folder: Path
    data: Path = Path("data")

    @property
    def root(self) -> Root:
        return Root(self.folder / "runs")

    @property
    def executor(self) -> LocalExecutor:
        return LocalExecutor(self.root)

    def set_up(self) -> None:
        """Make the root, with the snapshot of today's code taken already, stand-in included."""
        (self.folder / "control").mkdir(parents=True)
        create_root(self.root.path)
        self.plant()

    def plant(self) -> str:
        """Take today's snapshot, but for the worker and for how patient a pool is."""
        files = package_files()
        name = hash_files(files.items())
        target = self.root.snapshots / name
        for relative, source in files.items():
            copy = target / relative
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
        shutil.copyfile(STAND_IN, target / "orchestrator/worker/__main__.py")
        pool = target / "orchestrator/executors/pool_member.py"
        text = pool.read_text()
        for slow, quick in QUICKLY.items():
            assert slow in text
            text = text.replace(slow, quick)
        pool.write_text(text)
        return name

    def script(self, name: str, *acts: str) -> None:
        (self.folder / "control" / name).write_text("\n".join(acts))

    def go(self, *names: str) -> None:
        for name in names:
            self.script(f"{name}.go")

    def draft(self, *names: str, parallel: int = 2, **more: Any) -> Submission:
        placement = Placement(device="cpu", **more.pop("placement", {}))
        known = {
            "executor": "local",
            "jobs": [job_named(name) for name in names],
            "names": list(names),
            "placement": placement,
            "max_parallel": parallel,
            "snapshot": next(self.root.snapshots.iterdir()).name,
            "python": sys.executable,
            "data_root": str(self.data),
            "owner": "me",
        }
        return Submission(**{**known, **more})

    def submit(self, *names: str, **more: Any) -> Submission:
        submission = self.draft(*names, **more)
        folder = write_intent(self.root, submission, self.executor.render(submission))
        write_submitted(folder, self.executor.submit(submission))
        return submission

    def log(self, submission: Submission) -> PoolLog:
        log = read_pool_log(self.root.submission(submission.token).pool)
        assert log is not None
        return log

    def started(self, submission: Submission, count: int) -> PoolLog:
        """The pool's record once ``count`` members have claimed their jobs."""
        until(lambda: sum(bool(self.attempts(name)) for name in submission.names) >= count)
        return until(lambda: len(self.log(submission).started) >= count and self.log(submission))

    def over(self, submission: Submission) -> PoolLog:
        """The pool's record once it has ended."""
        return until(lambda: not self.log(submission).process.alive() and self.log(submission))

    def sweep(self, *cases: str, name: str = "s", text: str = "") -> Path:
        """A sweep file with a job for each case; cases differ in the learning rate."""
        path = self.folder / f"{name}.yaml"
        lines = [f"      {c}: {{optim.lr: {1e-3 * (1 + ord(c) - ord('a'))}}}" for c in cases]
        grid = ["grid:", "  - cases:", *lines] if cases else []
        path.write_text("\n".join([SWEEP.format(name=name) + text, *grid, ""]))
        return path

    def load(self, *cases: str, name: str = "s", text: str = "", seeds: object = None) -> Sweep:
        path = self.sweep(*cases, name=name, text=text)
        return load_sweep(path, seeds=seeds, executors=EXECUTORS)

    def orchestrate(
        self, *words: str, patience: float = 240, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """The command line as its own process, on this root."""
        return subprocess.run(
            [sys.executable, "-m", "orchestrator.cli", *words],
            env={**os.environ, **self.environment, **environment},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=patience,
            check=False,
        )

    @property
    def environment(self) -> dict[str, str]:
        return {"ORCHESTRATE_ROOT": str(self.root.path), "ORCHESTRATE_DATA": str(self.data)}

    def attempts(self, name: str) -> list[AttemptFolder]:
        return self.attempts_on(job_named(name))

    def attempts_on(self, job: str) -> list[AttemptFolder]:
        folder = self.root.job(job)
        return [folder.attempt(number) for number in folder.attempt_numbers()]

    def pools(self) -> list[PoolLog]:
        logs = (read_pool_log(folder.pool) for folder in self.root.submissions())
        return [log for log in logs if log]

    def id_of(self, name: str) -> str:
        """The id of a point that was launched."""
        jobs = json.loads(self.orchestrate("status", "--json").stdout)["jobs"]
        return str(next(job["id"] for job in jobs if job["name"] == name))

    def tear_down(self) -> None:
        """End the pools, and every rank that they started: their command lines hold a token."""
        tokens = {folder.token for folder in self.root.submissions()}
        for log in self.pools():
            kill(log.process)
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if tokens & set((folder / "cmdline").read_text().split("\0")):
                    kill(process(int(folder.name)))


def kill(process: Process) -> None:
    if process.alive():
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
