"""The SLURM that ``slurm/dev_cluster`` starts, for tests."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP

from support.pool_bench import until

SCRIPT = Path(__file__).parents[2] / "slurm" / "dev_cluster"


@dataclass(frozen=True)
class DevCluster:
    """A cluster by its folder and its first port; ``up`` starts it."""

    folder: Path = Path("/tmp/orchestrate-slurm-tests")
    port: int = 17100

    def script(self, verb: str, *options: str) -> subprocess.CompletedProcess[str]:
        """What the script answers, whether it succeeds or not."""
        command = [sys.executable, str(SCRIPT), verb, "--dir", str(self.folder), *options]
        outside = {k: v for k, v in os.environ.items() if not k.startswith("SLURM")}
        return subprocess.run(
            command, env=outside, capture_output=True, text=True, timeout=300, check=False
        )

    def up(self, *extra: str) -> str:
        """Start it, or whatever of it is missing."""
        return _output(self.script("up", "--port", str(self.port), *extra))

    def down(self) -> str:
        return _output(self.script("down"))

    def environment(self) -> dict[str, str]:
        """What tells SLURM's commands and our own which cluster is meant."""
        profile = str(self.folder / "cluster.yaml")
        return {"SLURM_CONF": str(self.folder / "slurm.conf"), "ORCHESTRATE_CLUSTER": profile}

    def run(self, *command: str, timeout_s: float = 120) -> str:
        """What a command says; an AssertionError with its output if it fails."""
        environment = {**os.environ, **self.environment()}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False
        )
        return _output(done)

    def pids(self) -> dict[str, int]:
        """The daemons' process numbers by name; a node's name is its slurmd's."""
        daemons = json.loads((self.folder / "daemons.json").read_bytes())["daemons"]
        return {name: process["pid"] for name, process in daemons.items()}

    def kill_node(self, name: str) -> None:
        """End its slurmd as a power cut would; what runs on it lives on unseen."""
        os.kill(self.pids()[name], SIGKILL)
        until(lambda: name in self.dead())

    def cut_power(self, name: str) -> None:
        """End its slurmd and all that runs on it, at once."""
        self._signal(SIGKILL, name)

    def freeze(self, name: str) -> None:
        """Let it, and all that runs on it, stand still: to SLURM it is lost."""
        self._signal(SIGSTOP, name)

    def thaw(self, name: str) -> None:
        """Let it go on where it stood still."""
        self._signal(SIGCONT, name)

    def _signal(self, number: int, name: str) -> None:
        """Signal the node's slurmd and whatever it has started."""
        told = {f"SLURM_CONF={self.folder}/slurm.conf".encode(), f"SLURMD_NODENAME={name}".encode()}
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if told <= set((entry / "environ").read_bytes().split(b"\0")):
                    os.kill(int(entry.name), number)

    def start_node(self, name: str) -> None:
        self.up()
        assert name not in self.dead()

    def dead(self) -> set[str]:
        """The daemons that have ended."""
        lines = self.script("status").stdout.splitlines()
        return {line.split()[0] for line in lines if line.endswith("DEAD")}

    def hurry(self) -> None:
        """Let jobs start soon that wait for their time; after a requeue that is two minutes.

        Not at once: a node that has just ended a job refuses its next start within the same second.
        """
        listed = self.run("squeue", "-h", "-t", "PENDING", "-O", "JobArrayID:64,EligibleTime:32")
        soon = datetime.now() + timedelta(seconds=10)  # noqa: DTZ005 - SLURM's times are local
        for job, start in map(str.split, listed.splitlines()):
            if soon.isoformat() < start < "N":
                self.run("scontrol", "update", f"jobid={job}", "starttime=now+4")

    def nodes(self) -> dict[str, str]:
        """The nodes' states by name; ``*`` after a state: it does not answer."""
        lines = self.run("sinfo", "-h", "-N", "-p", "main", "-o", "%N %T").splitlines()
        return dict(map(str.split, lines))

    def release_everything(self) -> None:
        """No jobs, and every node idle."""
        self.up()
        for partition in ("main", "spare"):
            self.run("scancel", "--partition", partition)
        for name, state in self.nodes().items():
            if state.startswith(("down", "drain")):
                self.run("scontrol", "update", f"nodename={name}", "state=resume")
        until(lambda: not self.run("squeue", "-h") and set(self.nodes().values()) == {"idle"}, 60)


def _output(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, f"{done.args} failed:\n{done.stdout}{done.stderr}"
    return done.stdout.strip()
