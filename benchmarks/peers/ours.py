"""Ours: ``orchestrate launch`` of a sweep, ``status --json``, and the same launch again."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.jobs.layout import Root
from peers.ended import end_all
from peers.grid import DECAY, LR, SEED, axes
from peers.measure import Command, Missing

SWEEP = """\
name: s
study: s
question: ""
set:
  data: {{name: digits}}
  model: {{img_size: 8, patch_size: 2, in_chans: 1, num_classes: 10, dim: 64, depth: 4, heads: 4}}
  train: {{epochs: 100, batch_size: 64, chunk: 32}}
grid:
  - optim.lr: {lr}
    optim.weight_decay: {decay}
seeds: {seeds}
executor: slurm
placement: {{ranks: 1, device: cpu}}
resources: {{partition: cpu}}
"""
PROFILE = "name: alpha\npartitions:\n  cpu: {time: 12h}\n"


@dataclass
class Ours:
    """``data`` has the set ``digits``; ``points`` are those of an ended job's journal."""

    data: Path
    points: int
    name: str = "orchestrate"
    most: int | None = None
    why_no_more: str = ""
    once: bool = False
    folder: Path = field(init=False)

    def prepare(self, folder: Path, jobs: int) -> None:
        self.folder = folder
        (folder / "cluster.yaml").write_text(PROFILE)
        values = axes(jobs)
        text = SWEEP.format(lr=values[LR], decay=values[DECAY], seeds=values[SEED])
        (folder / "s.yaml").write_text(text)

    def command(self, verb: str) -> Command | Missing:
        looks = "status" in verb
        return self.words(*(("status", "s", "--json") if looks else ("launch", "s.yaml")))

    @staticmethod
    def words(*words: str) -> Command:
        return Command((sys.executable, "-m", "orchestrator.cli", *words))

    @property
    def root(self) -> Root:
        return Root(self.folder / "runs")

    def environment(self) -> Mapping[str, str]:
        return {
            "ORCHESTRATE_ROOT": str(self.root.path),
            "ORCHESTRATE_DATA": str(self.data),
            "ORCHESTRATE_CLUSTER": str(self.folder / "cluster.yaml"),
        }

    def end(self) -> None:
        end_all(self.root, self.points)
