"""Running a competitor's commands from start to end, and what each run cost."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from peers.stub import Stub

LONGEST_S = 1800.0


@dataclass(frozen=True)
class Command:
    """What a user types; ``blocks``: it goes on until its jobs have ended, and is cut off."""

    words: Sequence[str]
    blocks: bool = False


@dataclass(frozen=True)
class Missing:
    """Why there is no such command, or no such measurement."""

    why: str


@dataclass(frozen=True)
class Run:
    """What one command cost: the whole process, its imports among it."""

    jobs: int
    seconds: float
    cpu_s: float
    """Of the process and the commands that it called; user and system."""
    calls: Mapping[str, int]
    submitted: int
    """Array members."""


@dataclass(frozen=True)
class Files:
    """What a launch left behind, before any job starts."""

    jobs: int
    files: int
    """Whatever is no folder; links among them."""
    inodes: int
    """Files and folders."""
    bytes: int


class Competitor(Protocol):
    """A tool that launches jobs and looks at them."""

    name: str
    most: int | None
    """It is measured with so many jobs at most, because of ``why_no_more``."""
    why_no_more: str
    once: bool
    """One repeat has to do: it takes minutes."""

    def prepare(self, folder: Path, jobs: int) -> None:
        """Write into an empty folder what a user has written before the first launch."""

    def command(self, verb: str) -> Command | Missing:
        """For one of ``story.STEPS``, to be run in that folder."""

    def environment(self) -> Mapping[str, str]:
        """Variables that it needs, beside those of this process."""

    def end(self) -> None:
        """Leave the files that its jobs leave when they end, if it looks at any."""


@dataclass(frozen=True)
class Bench:
    """A competitor in a fresh folder, beside a fresh scheduler."""

    one: Competitor
    stub: Stub
    folder: Path
    jobs: int

    @classmethod
    def make(cls, one: Competitor, folder: Path, *, jobs: int, delay_s: float) -> "Bench":
        work = folder / "work"
        work.mkdir(parents=True)
        one.prepare(work, jobs)
        return cls(one, Stub.make(folder / "scheduler", delay_s), work, jobs)

    def run(self, verb: str) -> Run | Missing:
        """Run the command of a verb once.

        Raises:
            SystemExit: it failed; its last words.
        """
        asked = self.one.command(verb)
        if isinstance(asked, Missing):
            return asked
        self.stub.forget_calls()
        told = self.folder.parent / "told.txt"
        path = f"{self.stub.commands}:{os.environ['PATH']}"
        with told.open("wb") as output:
            began = time.time()
            process = subprocess.Popen(
                asked.words,
                cwd=self.folder,
                env={**os.environ, **self.one.environment(), "PATH": path},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            ended = self._cut_off(process) if asked.blocks else None
            _, status, usage = os.wait4(process.pid, 0)
        seconds = (ended or time.time()) - began
        if os.waitstatus_to_exitcode(status) and ended is None:
            words = told.read_text(errors="replace")[-3000:]
            raise SystemExit(f"{self.one.name} {verb}: exit {status}\n{words}")
        cpu_s = usage.ru_utime + usage.ru_stime
        return Run(self.jobs, seconds, cpu_s, dict(self.stub.calls()), self.stub.submitted())

    def _cut_off(self, process: "subprocess.Popen[bytes]") -> float | None:
        """End a launch that waits for its jobs; when sbatch answered it, if it did.

        Once it asks about its jobs it has written all that it writes before they start.
        """
        last = time.monotonic() + LONGEST_S
        while time.monotonic() < last:
            if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                return None  # by itself: that is a failure
            if self.stub.answered("sacct"):
                break
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        return self.stub.answered("sbatch")

    def inventory(self) -> dict[Path, int | None]:
        """Every file below the folder with its size, every folder with None."""
        found: dict[Path, int | None] = {}
        for parent, folders, names in os.walk(self.folder):
            if "__pycache__" in folders:
                folders.remove("__pycache__")
            for name in folders:
                path = Path(parent, name)
                found[path] = 0 if path.is_symlink() else None
            for name in names:
                path = Path(parent, name)
                found[path] = 0 if path.is_symlink() else path.stat().st_size
        return found

    def launch(self) -> tuple[Run, Files] | Missing:
        """Launch, and count what it left."""
        before = self.inventory().keys()
        run = self.run("launch")
        if isinstance(run, Missing):
            return run
        new = {path: size for path, size in self.inventory().items() if path not in before}
        sizes = [size for size in new.values() if size is not None]
        return run, Files(self.jobs, len(sizes), len(new), sum(sizes))

    def end(self) -> None:
        """All jobs end well."""
        self.one.end()
        self.stub.end_all()
