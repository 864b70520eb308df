"""A SLURM that takes and keeps arrays; what runs in them is done by the test, claims and all.

It errs as a test tells it to.
"""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

from fakes.slurm import ALPHA, CONFIG
from orchestrator.jobs.facts import Ending
from orchestrator.jobs.files import publish, to_json
from orchestrator.jobs.layout import AttemptFolder, Root
from orchestrator.jobs.submissions import Submission
from orchestrator.worker.claim import Membership, claim
from orchestrator.worker.place import Place

COMMANDS = ("scontrol", "squeue", "sacct", "scancel", "sbatch")
TENDER = "watch-"
"""The beginning of their names."""
OPEN = ("PENDING", "RUNNING")
ITSELF = 'FAULTS=off "$0" "$@"'
FAULTS = {
    "down": "echo 'error: Unable to contact slurm controller (connect failure)' >&2; exit 1",
    "slow": "exec /bin/sleep 30",
    "silent": "exit 0",
    "half": f"{ITSELF} | /usr/bin/awk 'NR % 2'; exit 0",
    "half and failing": f"{ITSELF} | /usr/bin/awk 'NR % 2'; exit 1",
    "cut": f"{ITSELF} | /usr/bin/head -c -150; exit 0",
    "unheard": f"{ITSELF} > /dev/null; echo 'error: Socket timed out on send/recv' >&2; exit 1",
    "busy": "echo 'sbatch: error: Resource temporarily unavailable' >&2; exit 1",
}
"""What a command does instead of answering."""


@dataclass(frozen=True)
class Task:
    """A member of an array, by the file that holds its state."""

    file: Path
    token: str

    @property
    def index(self) -> int:
        return int(self.file.name)

    @property
    def state(self) -> str:
        return self.file.read_text().split()[0]

    @property
    def restart(self) -> int:
        words = self.file.read_text().split()
        return int(words[2]) if len(words) > 2 else 0

    def becomes(
        self,
        state: str,
        code: int = 0,
        restart: int | None = None,
        *,
        where: str = "both",
        end: float = 0,
    ) -> None:
        """``code`` as wait(2) gives it; ``where``: who still knows it, both, sacct or none."""
        restart = self.restart if restart is None else restart
        draft = self.file.with_name(f".{self.file.name}")
        draft.write_text(f"{state} {code} {restart} {where} 0 {int(end)}\n")
        draft.replace(self.file)

    def membership(self, root: Root) -> Membership:
        return Membership(root, Submission.read(root.submission(self.token)), self.index)

    def starts(self, root: Root) -> AttemptFolder | str:
        """What its worker does first: claim the job, or leave and say why."""
        self.becomes("RUNNING")
        with patch.dict(os.environ, ORCHESTRATE_HANDLE=f"{self.file.parent.name}@alpha"):
            return claim(self.membership(root), Place(restart=self.restart), port=0)

    def runs(self, root: Root) -> None:
        """Its worker, from claim to end."""
        claimed = self.starts(root)
        if isinstance(claimed, AttemptFolder):
            leave(claimed, Ending.FINISHED)
        self.becomes("COMPLETED")


def leave(attempt: AttemptFolder, ending: Ending) -> None:
    """What a worker writes last."""
    publish(attempt.exit, to_json({"end": ending.value, "time": 0.0, "step": 10, "metrics": {}}))


class Arrays:
    """The cluster alpha in a folder of its own."""

    def __init__(self, folder: Path, **profile: Any) -> None:
        self.folder = folder
        for made in ("bin", "queue", "queue.faults"):
            (folder / made).mkdir(parents=True)
        for name in COMMANDS:
            (folder / "bin" / name).symlink_to(Path(__file__).with_name("array_command"))
        storage = "accounting_storage/slurmdbd"
        (folder / "queue.config").write_text(CONFIG.format(name="alpha", accounting=storage))
        self.profile = folder / "cluster.yaml"
        self.profile.write_text(yaml.safe_dump({**ALPHA, **profile}))

    def errs(self, command: str, fault: str) -> None:
        """From now on, until it is ``mended``; what a fault is, ``FAULTS`` says."""
        (self.folder / "queue.faults" / command).write_text(f"{FAULTS[fault]}\n")

    def mended(self, *commands: str) -> None:
        """These answer again; all of them, if none is named."""
        for command in commands or COMMANDS:
            (self.folder / "queue.faults" / command).unlink(missing_ok=True)

    def takes(self, most: int | None, words: str = "") -> None:
        """At most so many members at once, and what sbatch says of more; None: any number."""
        limit = self.folder / "queue.limit"
        limit.unlink(missing_ok=True)
        if most is not None:
            limit.write_text(f"{most}\n{words}\n")

    def holds(self, one: Submission, number: str, state: str) -> None:
        """It has this submission already, every member in this state."""
        array = self.folder / "queue" / number
        array.mkdir()
        for index in range(len(one.jobs)):
            (array / f"{index}").write_text(f"{state}\n")
        (array / "name").write_text(f"o-{one.token}\n")

    def calls(self) -> Counter[str]:
        """How often each command was called."""
        told = self.folder / "queue.calls"
        lines = told.read_text().splitlines() if told.exists() else []
        return Counter(line.split()[0] for line in lines)

    @property
    def environment(self) -> dict[str, str]:
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        return {"PATH": path, "ORCHESTRATE_CLUSTER": str(self.profile)}

    def tasks(self) -> Iterator[Task]:
        """Every member it was asked to run, oldest array first."""
        return (task for task in self._tasks() if not task.token.startswith(TENDER))

    def tenders(self) -> int:
        """How many jobs that tend a sweep it was asked to run."""
        return sum(task.token.startswith(TENDER) for task in self._tasks())

    def _tasks(self) -> Iterator[Task]:
        names = self.folder.glob("queue/*/name")
        for name in sorted(names, key=lambda path: int(path.parent.name)):
            for file in sorted(name.parent.glob("[0-9]*"), key=lambda path: int(path.name)):
                yield Task(file, name.read_text().strip().removeprefix("o-"))

    def task_of(self, root: Root, job: str) -> Task:
        """The newest member of a job."""
        return [task for task in self.tasks() if task.membership(root).job == job][-1]

    def work(self, root: Root) -> None:
        """Let everything run to its end."""
        for task in self.tasks():
            if task.state in OPEN:
                task.runs(root)

    def asked(self, root: Root) -> Counter[str]:
        """How often it was asked to run which job."""
        return Counter(task.membership(root).job for task in self.tasks())
