"""A SLURM that answers what a test tells it to: its commands are programs on PATH."""

import os
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config import ClusterProfile, Placement, Resources
from orchestrator.executors import slurm_queries
from orchestrator.executors.slurm_queries import QUEUE_FIELDS
from orchestrator.jobs.layout import Root
from orchestrator.jobs.processes import user_name
from orchestrator.jobs.submissions import Submission, write_intent, write_submitted

COMMANDS = (
    *("scontrol", "squeue", "sacct", "sacctmgr", "sinfo", "scancel", "sbatch", "srun"),
    *("python", "sleep"),
)
CONFIG = """Configuration data as of 2026-11-21T10:12:51
AccountingStorageHost   = localhost
AccountingStorageType   = {accounting}
ClusterName             = {name}
MaxArraySize            = 101
SLURM_CONF              = /etc/slurm/slurm.conf
SLURM_VERSION           = 22.05.8

Slurmctld(primary) at alpha is UP
"""
ALPHA: dict[str, Any] = {
    "name": "alpha",
    "partitions": {
        "gpu": {"time": "2d", "gpus_per_node": 8, "cores_per_node": 64},
        "cpu": {"time": "12h"},
    },
}


def profile(**changes: Any) -> ClusterProfile:
    return ClusterProfile.from_plain({**ALPHA, **changes})


def submission(*names: str, **changes: Any) -> Submission:
    """A submission of these jobs, whose ids are their names, to cluster alpha."""
    known: dict[str, Any] = {
        "executor": "slurm",
        "jobs": list(names),
        "names": list(names),
        "placement": Placement.from_plain(changes.pop("placement", {"device": "cpu"})),
        "resources": Resources.from_plain(changes.pop("resources", {"partition": "cpu"})),
        "cluster": profile(),
        "max_parallel": None,
        "snapshot": "c0de",
        "python": "/venv/bin/python",
        "data_root": "/data",
        "owner": user_name(),
    }
    return Submission(**{**known, **changes})


def submitted(root: Root, one: Submission, handle: str = "7@alpha") -> Submission:
    """The submission, as one that SLURM took."""
    write_submitted(write_intent(root, one, ""), handle)
    return one


def queue_line(one: Submission, index: int, state: str, array: str = "7", **more: str) -> str:
    """A line of squeue, as long as it really is."""
    told = {
        "ArrayJobID": array,
        "ArrayTaskID": str(index),
        "Name": f"o-{one.token}",
        "State": state,
        "Reason": "None",
        "RestartCnt": "0",
        "NodeList": "",
        "StartTime": "N/A",
        "EndTime": "N/A",
        "exit_code": "0",
        **more,
    }
    return "".join(f"{told[field]:<{width}}|" for field, width in QUEUE_FIELDS.items())


def record_line(
    one: Submission, index: int | str, state: str, array: str = "7", **more: str
) -> str:
    """A line of sacct."""
    told = {"ExitCode": "0:0", "Start": "1795175571", "End": "1795175573", "NodeList": "node1"}
    return "|".join([f"{array}_{index}", f"o-{one.token}", state, *{**told, **more}.values()])


class FakeSlurm:
    """The programs, first on PATH; by themselves they say nothing and succeed."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bin, self._told = folder / "bin", folder / "told"
        for made in (self.bin, self._told):
            made.mkdir(parents=True)
        for name in COMMANDS:
            (self.bin / name).symlink_to(Path(__file__).with_name("command"))
        monkeypatch.setenv("PATH", f"{self.bin}:{os.environ['PATH']}")
        slurm_queries.cluster.cache_clear()
        self.is_cluster()

    def is_cluster(self, name: str = "alpha", *, accounting: bool = True) -> None:
        storage = "accounting_storage/slurmdbd" if accounting else "accounting_storage/none"
        self.answer("scontrol", CONFIG.format(name=name, accounting=storage))

    def answer(
        self, command: str, *lines: str, errors: str = "", code: int = 0, after_s: float = 0
    ) -> None:
        """What the command says from now on."""
        told = {"out": "".join(f"{line}\n" for line in lines), "err": errors, "code": f"{code}"}
        for ending, text in {**told, "after": f"{after_s}"}.items():
            (self._told / f"{command}.{ending}").write_text(text)

    def calls(self, command: str | None = None) -> list[list[str]]:
        """The words of every call so far, of one command or with the names of all."""
        text = (self._told / "calls").read_text() if (self._told / "calls").exists() else ""
        words = [call.split("\037")[:-1] for call in text.split("\036")[:-1]]
        return words if command is None else [call[1:] for call in words if call[0] == command]

    def environment(self, command: str) -> dict[str, str]:
        """The environment of the last call of srun or python."""
        text = (self._told / f"{command}.environment").read_bytes().decode()
        return dict(pair.split("=", 1) for pair in text.split("\0")[:-1])

    def tested(self) -> str:
        """The text that ``sbatch --test-only`` was given."""
        return (self._told / "sbatch.stdin").read_text()
