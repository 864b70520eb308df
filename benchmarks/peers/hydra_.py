"""Hydra with its submitit launcher: a multirun over the grid's overrides."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from peers.grid import axes
from peers.measure import Command, Missing

APP = """\
import hydra

@hydra.main(version_base=None, config_path=".", config_name="config")
def train(config):
    return config.lr

train()
"""
CONFIG = """\
defaults:
  - override hydra/launcher: submitit_slurm
hydra:
  launcher: {{timeout_min: 720, partition: cpu, array_parallelism: {jobs}}}
lr: 0.001
weight_decay: 0.05
seed: 0
epochs: 100
batch_size: 64
"""


@dataclass
class Hydra:
    """Its launch ends when its jobs have; it is measured until sbatch has answered."""

    python: Path
    name: str = "hydra"
    most: int | None = 1000
    why_no_more: str = "it composes each job's configuration, in tens of milliseconds"
    once: bool = True
    overrides: list[str] = field(default_factory=list)

    def prepare(self, folder: Path, jobs: int) -> None:
        (folder / "app.py").write_text(APP)
        (folder / "config.yaml").write_text(CONFIG.format(jobs=jobs))
        self.overrides = [f"{k}={','.join(map(str, v))}" for k, v in axes(jobs).items()]

    def command(self, verb: str) -> Command | Missing:
        if "status" in verb:
            return Missing("it has no such command: the launch itself waits for its jobs")
        if verb == "relaunch when ended":
            return Missing("as while they wait: all are submitted again")
        return Command((str(self.python), "app.py", "--multirun", *self.overrides), blocks=True)

    def environment(self) -> Mapping[str, str]:
        return {}

    def end(self) -> None:
        """It shows no states."""
