"""A run root whose jobs a real SLURM runs, and the command line on it."""

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from orchestrator.jobs.facts import Attempt, Ending, read_attempts, read_history
from orchestrator.jobs.layout import JobFolder, Root
from orchestrator.jobs.store import launched_revision
from support.dev_cluster import DevCluster
from support.lasting import lasting
from support.pool_bench import until

ORCHESTRATE = (sys.executable, "-P", "-m", "orchestrator.cli")
SWEEP: dict[str, Any] = {
    "name": "s",
    "set": {
        "data": {"name": "digits"},
        "model": {
            "img_size": 8,
            "patch_size": 2,
            "in_chans": 1,
            "num_classes": 10,
            "dim": 32,
            "depth": 2,
            "heads": 2,
            "registers": 1,
            "drop_path": 0.1,
            "gate": {"position": "sdpa"},
        },
        "optim": {"lr": 3e-3, "warmup_epochs": 1},
        "train": {"epochs": 30, "batch_size": 64, "chunk": 32},
        "evaluation": {"every_epochs": 10},
        "probe": {"every_epochs": 30, "images": 50},
    },
    "placement": {"ranks": 2, "device": "cpu", "checkpoint_minutes": 0.02},
}
EARLY = 40
"""A step that is reached a second after the training began."""


@dataclass
class Site:
    """One run root, one sweep file; ``environment`` is that of a login node."""

    folder: Path
    data: Path
    cluster: DevCluster | None = None
    watching: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def root(self) -> Root:
        return Root(self.folder / "runs")

    @property
    def environment(self) -> dict[str, str]:
        told = {"ORCHESTRATE_ROOT": str(self.root.path), "ORCHESTRATE_DATA": str(self.data)}
        site = self.cluster.environment() if self.cluster else {}
        return {**os.environ, **told, **site}

    def write(self, **changes: Any) -> Path:
        """The sweep file, with these keys over its own; ``set`` and ``placement`` are merged."""
        plain = {**SWEEP, **changes}
        for key in ("set", "placement"):
            plain[key] = _merged(SWEEP[key], changes.get(key, {}))
        path = self.folder / "sweep.yaml"
        path.write_text(yaml.safe_dump(plain, sort_keys=False))
        return path

    def profile(self, **changes: Any) -> Path:
        """The dev cluster's profile with these changes, for this site only."""
        assert self.cluster is not None
        plain = yaml.safe_load((self.cluster.folder / "cluster.yaml").read_text())
        path = self.folder / "cluster.yaml"
        path.write_text(yaml.safe_dump({**plain, **changes}, sort_keys=False))
        return path

    def orchestrate(self, *words: str, code: int = 0, timeout_s: float = 240) -> str:
        """What the command line answers; it must end with ``code``."""
        done = subprocess.run(
            [*ORCHESTRATE, *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, f"orchestrate {' '.join(words)}: {said}"
        return said

    def launch(self, *options: str, code: int = 0, **changes: Any) -> str:
        words = ("launch", str(self.write(**changes)), "--executor", "slurm", *options)
        return self.orchestrate(*words, code=code)

    def watch(self, *options: str) -> subprocess.Popen[str]:
        """A watch in the background; ``finish`` waits for it."""
        log = (self.folder / "watch.log").open("a")
        process = subprocess.Popen(
            [*ORCHESTRATE, "watch", "--every", "1", *options],
            cwd=self.folder,
            env=self.environment,
            stdout=log,
            stderr=log,
            text=True,
        )
        self.watching.append(process)
        return process

    def finish(self, watch: subprocess.Popen[str], seconds: float = 600, code: int = 0) -> None:
        """Let the watch end by itself; requeued jobs need not wait their two minutes."""
        deadline = time.monotonic() + seconds
        while watch.poll() is None:
            assert time.monotonic() < deadline, (self.folder / "watch.log").read_text()
            if self.cluster:
                self.cluster.hurry()
            time.sleep(1)
        assert watch.returncode == code, (self.folder / "watch.log").read_text()

    def tear_down(self) -> None:
        for process in self.watching:
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()

    def rows(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.orchestrate("status", "--json"))["jobs"]
        return found

    def row(self) -> dict[str, Any]:
        """The only job's."""
        (row,) = self.rows()
        return row

    def job(self) -> JobFolder:
        """The only job."""
        (job,) = launched_revision(self.root, "s")["jobs"]
        return self.root.job(job["id"])

    def handle(self) -> str:
        """SLURM's own name of the only job's newest member: ``12_0``."""
        handle: str = self.row()["handle"]
        return handle.partition("@")[0]

    def await_step(self, step: int = EARLY, attempt: int = 1) -> None:
        """Until the job's attempt has measured this step."""
        journal = self.job().attempt(attempt).journal

        def reached() -> bool:
            if not journal.exists():
                return False
            steps = [json.loads(line).get("step", -1) for line in _whole_lines(journal)]
            return max(steps, default=-1) >= step

        until(reached, 300)

    def await_state(self, *states: str, seconds: float = 240) -> dict[str, Any]:
        """The only job's row once it is in one of these states."""

        def there() -> dict[str, Any] | None:
            row = self.row()
            return row if row["state"] in states else None

        found = until(there, seconds)
        assert found is not None
        return found

    def rank(self, number: int) -> int:
        """The process of this rank of the only job, which runs on this machine."""
        told = {f"SLURM_PROCID={number}".encode(), f"SLURM_JOB_NAME=o-{self._token()}".encode()}
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if told <= set((entry / "environ").read_bytes().split(b"\0")) and (
                    b"orchestrator.worker" in words
                ):
                    return int(entry.name)
        raise AssertionError(f"rank {number} does not run")

    def _token(self) -> str:
        return self.attempts()[-1].start.token

    def attempts(self) -> tuple[Attempt, ...]:
        return read_attempts(self.job())

    def metrics(self) -> dict[str, object]:
        """Everything measured, by step, of the folded journals."""
        return metrics_of(self.job())


def metrics_of(job: JobFolder) -> dict[str, object]:
    return {
        f"{point.step} {name}": value
        for point in read_history(job).points
        for name, value in lasting(point.metrics).items()
    }


def one_after_the_other(job: JobFolder) -> bool:
    """Whether no two attempts were at work at the same time, as their own files tell."""
    attempts = read_attempts(job)
    ends = [_last_word(job, attempt) for attempt in attempts]
    return all(later.start.time >= end for later, end in zip(attempts[1:], ends[:-1], strict=True))


def reference_metrics(folder: Path, data: Path, **changes: Any) -> dict[str, object]:
    """What the job measures on this machine."""
    site = Site(folder, data)
    site.orchestrate("launch", str(site.write(**changes)), "--wait")
    (attempt,) = site.attempts()
    assert attempt.ending is Ending.FINISHED
    return site.metrics()


def _last_word(job: JobFolder, attempt: Attempt) -> float:
    folder = job.attempt(attempt.number)
    if folder.exit.exists():
        time_of_exit: float = json.loads(folder.exit.read_bytes())["time"]
        return time_of_exit
    points = [json.loads(line) for line in _whole_lines(folder.journal)]
    return max((point.get("t", 0.0) for point in points), default=attempt.start.time)


def _whole_lines(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\n")[:-1]


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged
