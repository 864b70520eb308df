"""A sweep on a SLURM that keeps arrays, put back to where it was before every step of a walk."""

import os
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fakes.arrays import Arrays, leave

from orchestrator.executors import EXECUTORS
from orchestrator.jobs.facts import Ending
from orchestrator.jobs.layout import AttemptFolder
from orchestrator.sweep.load import load_sweep
from support.forge import Forge, Ran, Run
from support.pool_bench import Bench

LONG_AGO_S = 400.0
COPIES = "snapshots/.tmp-"
"""Names that only the copying of our own code makes; each of its files is as good as another."""

NOTHING_NEW = ("fsync", "open .tmp-clock", "os.remove .tmp-clock", "os.utime", "os.chmod")
"""The beginnings of steps before which nothing was done that could matter."""


@dataclass
class Scene:
    """``cases`` name the jobs of sweep s."""

    folder: Path
    data: Path
    forge: Forge
    cases: tuple[str, ...] = ("a", "b", "c")
    sweep: Path = field(init=False)
    ids: dict[str, str] = field(init=False)
    """By name."""

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.bench = Bench(self.folder, self.data)
        self.root = self.bench.root
        self.site = Arrays(self.folder / "site", max_array=2)
        self.write(*self.cases)

    def write(self, *cases: str) -> None:
        self.sweep = self.bench.sweep(*cases, text="executor: slurm\n")
        text = self.sweep.read_text()
        self.sweep.write_text(text.replace("max_parallel: 2", "resources: {partition: cpu}"))
        self.ids = {
            point.name: point.id for point in load_sweep(self.sweep, executors=EXECUTORS).points
        }

    def run(self, *words: str, more: dict[str, str] | None = None, **how: Any) -> Run:
        """``more`` of the environment, and what is to befall it."""
        return Run(words, str(self.folder), {**self.environment, **(more or {})}, **how)

    @property
    def environment(self) -> dict[str, str]:
        return {**self.bench.environment, **self.site.environment}

    def orchestrate(self, *words: str, **how: Any) -> Ran:
        (ran,) = self.forge.run(self.run(*words, **how))
        return ran

    def launch(self, **how: Any) -> Ran:
        return self.orchestrate("launch", str(self.sweep), **how)

    def states(self, **how: Any) -> dict[str, str]:
        """By name, as status tells; none before there is anything to tell of."""
        ran = self.orchestrate("status", "--json", **how)
        if not self.root.record.exists():
            assert ran.code == 1, ran.said
            assert is_one_sentence(ran), ran.said
            return {}
        assert ran.code == 0, ran.said
        return {job["name"]: job["state"] for job in ran.json["jobs"]}

    def keep(self) -> None:
        """What is there now is what ``restore`` comes back to."""
        snapshots = self.root.snapshots
        if snapshots.is_dir() and not snapshots.is_symlink():  # the same for everybody
            shutil.move(snapshots, self.folder / "snapshots")
            snapshots.symlink_to(self.folder / "snapshots")
        _copy(self.folder, ("runs", "site/queue"), self.folder / "kept")

    def restore(self) -> None:
        _copy(self.folder / "kept", ("runs", "site/queue"), self.folder)

    def age_intents(self) -> None:
        for folder in self.root.submissions():
            os.utime(folder.intent, (time.time() - LONG_AGO_S,) * 2)

    def job(self, name: str) -> str:
        """Its id."""
        return self.ids[name]

    def starts(self, name: str) -> AttemptFolder:
        """Its newest member starts and claims it."""
        claimed = self.site.task_of(self.root, self.job(name)).starts(self.root)
        assert isinstance(claimed, AttemptFolder)
        return claimed

    def ends(self, name: str, state: str, code: int = 0) -> None:
        """As SLURM tells it."""
        self.site.task_of(self.root, self.job(name)).becomes(state, code)

    def is_preempted(self, name: str) -> None:
        leave(self.starts(name), Ending.STOPPED)
        self.ends(name, "FAILED", 75 << 8)

    def is_done(self, name: str) -> None:
        self.site.task_of(self.root, self.job(name)).runs(self.root)

    def works(self) -> None:
        """All that SLURM has, waiting or running, comes to its end."""
        for started in self.root.path.glob("jobs/*/*/attempts/*/started.json"):
            if not started.with_name("exit.json").exists():
                leave(AttemptFolder(started.parent), Ending.FINISHED)
        self.site.work(self.root)

    def asked(self) -> dict[str, int]:
        """How often SLURM was asked to run which job."""
        asked = self.site.asked(self.root)
        return {name: asked[job] for name, job in self.ids.items()}

    def finished(self) -> Counter[str]:
        """How many attempts of which job finished, by id."""
        exits = self.root.path.glob("jobs/*/*/attempts/*/exit.json")
        done = [path for path in exits if '"finished"' in path.read_text()]
        return Counter(path.parents[2].name for path in done)


def is_one_sentence(ran: Ran) -> bool:
    """Whether a failure was told in one line at the end, and not as a defect of the program."""
    lines = ran.said.splitlines()
    errors = [line for line in lines if line.startswith(("error: ", "Traceback"))]
    return ran.code == 1 and errors == lines[-1:] and errors[0].startswith("error: ")


def steps_of(did: Sequence[str], every: int) -> list[int]:
    """The steps to strike at, one of so many, and never all of the many files of a snapshot.

    Where not all are taken, those are left out after which a killed process leaves what it would
    have left before.
    """
    telling = [n for n, name in enumerate(did) if every == 1 or not name.startswith(NOTHING_NEW)]
    copying = [n for n in telling if _is_among_copies(did, n)]
    return sorted({*telling} - {*copying} | {*copying[::40]})[::every]


def _is_among_copies(did: Sequence[str], number: int) -> bool:
    around = did[max(0, number - 2) : number + 3]
    named = [name for name in around if name not in ("fsync", "write")]
    return bool(named) and all(COPIES in name for name in named)


def _copy(source: Path, names: tuple[str, ...], target: Path) -> None:
    for name in names:
        shutil.rmtree(target / name, ignore_errors=True)
        if (source / name).exists():
            shutil.copytree(source / name, target / name, symlinks=True)
