"""Every file and folder name of a run root, once; docs/design.md says who writes which."""

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

JOURNAL = "journal.jsonl"
STARTED = "started.json"
EXIT = "exit.json"


@dataclass(frozen=True, slots=True)
class JobFolder:
    """``jobs/<2>/<id>/``."""

    path: Path

    @property
    def record(self) -> Path:
        return self.path / "job.json"

    @property
    def attempts(self) -> Path:
        return self.path / "attempts"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def saved_steps(self) -> dict[int, int]:
        """The newest step of which a checkpoint is kept, by the attempt that wrote it."""
        names = sorted(entry.name.partition("-") for entry in _entries(self.checkpoints))
        return {int(a): int(step) for a, _, step in names if a.isdecimal() and step.isdecimal()}

    @property
    def weights(self) -> Path:
        """The model alone: after the epochs that are kept, and after the last step."""
        return self.path / "weights"

    @property
    def best(self) -> Path:
        """The model alone, after the epoch with the highest ``val/top1`` so far."""
        return self.path / "best"

    @property
    def predictions(self) -> Path:
        """What was predicted for each image, at the last epoch and at the best one."""
        return self.path / "predictions"

    @property
    def probes(self) -> Path:
        return self.path / "probes"

    def attempt(self, number: int) -> "AttemptFolder":
        return AttemptFolder(self.attempts / f"{number:03d}")

    def attempt_numbers(self) -> list[int]:
        """Numbers of the attempts that were claimed, ascending."""
        names = (entry.name for entry in _entries(self.attempts))
        return sorted(int(name) for name in names if name.isdecimal())


@dataclass(frozen=True, slots=True)
class AttemptFolder:
    """``jobs/<2>/<id>/attempts/NNN/``; everything in it is written by the attempt's ranks."""

    path: Path

    @property
    def number(self) -> int:
        return int(self.path.name)

    @property
    def started(self) -> Path:
        return self.path / STARTED

    @property
    def environment(self) -> Path:
        return self.path / "environment.json"

    @property
    def journal(self) -> Path:
        return self.path / JOURNAL

    @property
    def exit(self) -> Path:
        return self.path / EXIT

    def error(self, rank: int) -> Path:
        return self.path / f"rank{rank}.error.json"

    def errors(self) -> list[Path]:
        return sorted(self.path.glob("rank*.error.json"))

    def usage(self, rank: int) -> Path:
        return self.path / f"rank{rank}.usage.json"

    def usages(self) -> list[Path]:
        return sorted(self.path.glob("rank*.usage.json"))

    def log(self, rank: int) -> Path:
        return self.path / f"rank{rank}.log"


@dataclass(frozen=True, slots=True)
class SubmissionFolder:
    """``submissions/<token>/``."""

    path: Path

    @property
    def token(self) -> str:
        return self.path.name

    @property
    def intent(self) -> Path:
        return self.path / "intent.json"

    @property
    def script(self) -> Path:
        return self.path / "script.sh"

    @property
    def submitted(self) -> Path:
        return self.path / "submitted.json"

    @property
    def refused(self) -> Path:
        return self.path / "refused.json"

    @property
    def pool(self) -> Path:
        return self.path / "pool.jsonl"

    @property
    def pools(self) -> Path:
        """The records of a cluster's allocations that run several jobs, one of each start."""
        return self.path / "pools"

    def allocation_pool(self, allocation: int, restart: int) -> Path:
        return self.pools / f"{allocation}-{restart}.jsonl"

    def allocation_pools(self) -> dict[tuple[int, int], Path]:
        """By allocation and restart, in their order."""
        found = [(path.stem.partition("-"), path) for path in self.pools.glob("*-*.jsonl")]
        return dict(sorted(((int(a), int(restart)), path) for (a, _, restart), path in found))

    @property
    def taken(self) -> Path:
        """Which allocation has which member; there where allocations run several jobs."""
        return self.path / "taken"

    def taken_mark(self, index: int) -> Path:
        return self.taken / f"{index}.json"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def claimed(self) -> Path:
        """Marks of the members that claimed their job; older programs made none."""
        return self.path / "claimed"

    def claim_mark(self, index: int) -> Path:
        """There from just before a member's first attempt on its job was published."""
        return self.claimed / str(index)

    def member_log(self, index: int, rank: int) -> Path:
        """What a rank says before its job is claimed."""
        return self.logs / f"{index}-rank{rank}.log"

    def batch_log(self, index: int) -> Path:
        """What a cluster's script around a member's ranks says."""
        return self.logs / f"{index}-batch.log"

    def allocation_log(self, allocation: int) -> Path:
        """What the pool of an allocation says."""
        return self.logs / f"allocation{allocation}.log"

    def allocation_batch_log(self, allocation: int) -> Path:
        """What a cluster's script around a pool says."""
        return self.logs / f"allocation{allocation}-batch.log"

    def allocation_logs(self) -> list[Path]:
        """What the pools of all allocations, and the scripts around them, say."""
        return sorted(self.logs.glob("allocation*.log"))

    def started(self, index: int) -> bool:
        """Whether a member has printed, or could have: its logs are there."""
        return any(self.logs.glob(f"{index}-*.log"))

    @property
    def absent(self) -> Path:
        return self.path / "absent.json"

    def outcome(self, number: int) -> Path:
        return self.path / f"outcomes-{number:03d}.json"

    def outcomes(self) -> list[Path]:
        """In the order written."""
        found = self.path.glob("outcomes-*.json")
        return sorted(found, key=lambda path: (len(path.name), path.name))


@dataclass(frozen=True, slots=True)
class Root:
    """A run root; ``store.open_root`` makes sure it is one."""

    path: Path

    @property
    def record(self) -> Path:
        return self.path / "root.json"

    def id(self) -> str:
        """The root's own name, which no other root has."""
        found: str = json.loads(self.record.read_bytes())["root"]
        return found

    @property
    def orders(self) -> Path:
        return self.path / "orders"

    @property
    def lease(self) -> Path:
        return self.path / "lease"

    @property
    def mirror(self) -> Path:
        """What the mirror remembers of each store, and its lease; may be deleted at any time."""
        return self.path / "mirror"

    @property
    def mlflow(self) -> Path:
        """The store of a root that names no other, and its artifacts."""
        return self.path.resolve() / "mlflow"

    @property
    def settled(self) -> Path:
        """What is known of jobs that are done for good; may be deleted at any time."""
        return self.path / "cache" / "settled"

    def room(self, cluster: str) -> Path:
        """What a cluster was last seen to take; may be deleted at any time."""
        return self.path / "cache" / f"room-{cluster}.json"

    @property
    def snapshots(self) -> Path:
        return self.path / "snapshots"

    def origin(self, snapshot: str) -> Path:
        """Where the code of a snapshot came from; those of older programs lack it."""
        return self.snapshots / snapshot / "origin.json"

    def dataset(self, name: str) -> Path:
        return self.path / "datasets" / f"{name}.json"

    def sweep(self, name: str) -> Path:
        return self.path / "sweeps" / name

    def sweep_names(self) -> list[str]:
        """Names of the sweeps that were launched here."""
        return sorted({path.parent.name for path in self.path.glob("sweeps/*/[0-9]*.json")})

    def revisions(self, sweep: str) -> list[Path]:
        """The records of a sweep, oldest first."""
        paths = (path for path in self.sweep(sweep).glob("[0-9]*.json") if path.stem.isdecimal())
        return sorted(paths, key=lambda path: int(path.stem))

    def events(self, sweep: str) -> Path:
        """What happened to a sweep that its command is told of."""
        return self.sweep(sweep) / "events"

    def notify_log(self, sweep: str) -> Path:
        """What that command printed."""
        return self.sweep(sweep) / "notify.log"

    def notify_lease(self, sweep: str) -> Path:
        return self.sweep(sweep) / "notify.lease"

    def job(self, job_id: str) -> JobFolder:
        return JobFolder(self.path / f"jobs/{job_id[:2]}/{job_id}")

    def job_folders(self) -> dict[str, int]:
        """The folders of jobs by id, each with its number (inode) in the file system.

        It asks once per ``jobs/<2>/``, however many jobs there are.
        """
        return {
            entry.name: entry.inode()
            for shard in _entries(self.path / "jobs")
            for entry in _entries(Path(shard.path))
        }

    def tokens(self) -> list[str]:
        """Of every submission, and of those whose intent is still to be published."""
        return [entry.name for entry in _entries(self.path / "submissions")]

    def submission(self, token: str) -> SubmissionFolder:
        return SubmissionFolder(self.path / "submissions" / token)

    def submissions(self) -> list[SubmissionFolder]:
        """Every submission whose intent was published."""
        return [SubmissionFolder(p.parent) for p in self.path.glob("submissions/*/intent.json")]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        return list(entries)
    return []
