"""submitit: ``map_array`` of a plain function; ``job.state`` of each job."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from peers.grid import axes
from peers.measure import Command, Missing

LAUNCH = """\
import itertools
import submitit

def train(lr, weight_decay, seed):
    return lr

points = list(itertools.product(*{values}))
executor = submitit.AutoExecutor(folder="jobs", cluster="slurm")
executor.update_parameters(timeout_min=720, slurm_partition="cpu", slurm_array_parallelism={jobs})
jobs = executor.map_array(train, *zip(*points))
with open("ids.txt", "w") as file:
    file.writelines(job.job_id + "\\n" for job in jobs)
"""
STATUS = """\
import collections
import submitit

ids = open("ids.txt").read().split()
jobs = [submitit.SlurmJob("jobs", one) for one in ids]
print(collections.Counter(job.state for job in jobs))
"""
LOOP = """\
import collections
import submitit

ids = open("ids.txt").read().split()
print(collections.Counter(submitit.SlurmJob("jobs", one).state for one in ids))
"""


@dataclass
class Submitit:
    """States in the way that asks once: all jobs are made before the first is asked for its own."""

    python: Path
    name: str = "submitit"
    most: int | None = None
    why_no_more: str = ""
    once: bool = False
    status: str = STATUS

    def prepare(self, folder: Path, jobs: int) -> None:
        values = list(axes(jobs).values())
        (folder / "launch.py").write_text(LAUNCH.format(values=values, jobs=jobs))
        (folder / "status.py").write_text(self.status)

    def command(self, verb: str) -> Command | Missing:
        """It knows no relaunch: the same script again submits everything again."""
        if verb == "relaunch when ended":
            return Missing("as while they wait: all are submitted again")
        program = "status.py" if "status" in verb else "launch.py"
        return Command((str(self.python), program))

    def environment(self) -> Mapping[str, str]:
        return {}

    def end(self) -> None:
        """Its states are the scheduler's alone."""


@dataclass
class SubmititInALoop(Submitit):
    """States as one comes to write it: each job is made, and asked, in turn."""

    name: str = "submitit, in a loop"
    most: int | None = 1000
    why_no_more: str = "each job asked is one call of sacct"
    once: bool = True
    status: str = LOOP

    def command(self, verb: str) -> Command | Missing:
        if "relaunch" in verb:
            return Missing("as submitit")
        return super().command(verb)
