"""Sweeps on a SLURM that keeps arrays, tended round by round in this process."""

import os
from pathlib import Path
from typing import Any

import pytest
from fakes.arrays import OPEN, Arrays
from fakes.slurm import ALPHA

from orchestrator.config import RunConfig
from orchestrator.controller.survey import survey
from orchestrator.controller.watch import Round, tend_all
from orchestrator.executors import slurm_queries
from orchestrator.jobs import damage
from orchestrator.jobs.records import write_job
from orchestrator.jobs.state import State
from orchestrator.jobs.store import REVISION_SCHEMA, create_root, write_revision

CONFIG = RunConfig.from_plain({"data": {"name": "digits"}})


class Rounds:
    """A root and its cluster; ``profile`` is what the cluster's differs in. Jobs are ids."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, **profile: Any) -> None:
        self.root = create_root(folder / "runs")
        self.site = Arrays(folder / "site")
        self.profile = {**ALPHA, **profile}
        monkeypatch.setenv("PATH", f"{self.site.folder / 'bin'}:{os.environ['PATH']}")
        monkeypatch.setattr(damage, "is_of", lambda job, record: record["id"] == job)
        slurm_queries.cluster.cache_clear()

    def launched(self, sweep: str, *jobs: str, **changes: Any) -> None:
        """The sweep's next revision, and its jobs."""
        for job in jobs:
            write_job(self.root, job, CONFIG)
        each = {
            "placement": changes.pop("placement", {"device": "cpu"}),
            "resources": changes.pop("resources", {"partition": "cpu"}),
        }
        content = {
            "schema": REVISION_SCHEMA,
            "name": sweep,
            "executor": "slurm",
            "max_parallel": None,
            "data_root": "/data",
            "cluster": self.profile,
            "snapshot": "c0de",
            "jobs": [{"id": job, "name": job, **each} for job in jobs],
        }
        write_revision(self.root, sweep, {**content, **changes})

    def round(self, *sweeps: str) -> Round:
        return tend_all(self.root, sweeps or ["s"])

    def open(self) -> list[str]:
        """The jobs that wait or run, as the cluster has them."""
        tasks = [task for task in self.site.tasks() if task.state in OPEN]
        return [task.membership(self.root).job for task in tasks]

    def work(self, count: int | None = None) -> None:
        """Let these first of what is open come to its end."""
        for task in [task for task in self.site.tasks() if task.state in OPEN][:count]:
            task.runs(self.root)

    def states(self, *jobs: str) -> dict[str, State]:
        found = survey(self.root, jobs)
        return {job: status.state for job, status in found.statuses.items()}
