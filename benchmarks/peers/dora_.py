"""Dora: a grid file, and ``dora grid``, which launches, shows states and launches again."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from peers.grid import axes
from peers.measure import Command, Missing

TRAIN = """\
import argparse
from dora import argparse_main

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=1e-3)
parser.add_argument("--weight_decay", type=float, default=0.05)
parser.add_argument("--seed", type=int, default=-1)

@argparse_main(parser=parser, dir="outputs")
def main():
    pass

if __name__ == "__main__":
    main()
"""
GRID = """\
import itertools
from dora import Explorer, Launcher

@Explorer
def explorer(launcher: Launcher):
    launcher.slurm_(gpus=1, partition="cpu")
    with launcher.job_array():
        for lr, weight_decay, seed in itertools.product(*{values}):
            launcher(lr=lr, weight_decay=weight_decay, seed=seed)
"""
DRY = ("--dry_run",)


@dataclass
class Dora:
    """``dora grid --no_monitoring`` schedules what lacks, and shows all; dry, it only shows."""

    python: Path
    name: str = "dora"
    most: int | None = 1000
    why_no_more: str = "each job's pickle holds all jobs of its array"
    once: bool = False

    def prepare(self, folder: Path, jobs: int) -> None:
        grids = folder / "study" / "grids"
        grids.mkdir(parents=True)
        for package in (grids.parent, grids):
            (package / "__init__.py").touch()
        (grids.parent / "train.py").write_text(TRAIN)
        (grids / "s.py").write_text(GRID.format(values=list(axes(jobs).values())))

    def command(self, verb: str) -> Command | Missing:
        words = (str(self.python), "-m", "dora", "grid", "s", "--no_monitoring")
        return Command(words + (DRY if "status" in verb else ()))

    def environment(self) -> Mapping[str, str]:
        return {"DORA_PACKAGE": "study"}

    def end(self) -> None:
        """States are the scheduler's; that no job left a history is in its favour."""
