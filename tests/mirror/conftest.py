"""A run root whose jobs are written by hand, and stores to show them in."""

import io
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes.place import attempt
from mlflow import MlflowClient
from PIL import Image

from orchestrator.config import RunConfig
from orchestrator.jobs.facts import Ending
from orchestrator.jobs.gather import gather, read_submissions
from orchestrator.jobs.identity import job_id
from orchestrator.jobs.journal import Header, JournalWriter
from orchestrator.jobs.layout import Root
from orchestrator.jobs.orders import Standing
from orchestrator.jobs.probes import probe_file
from orchestrator.jobs.records import write_job
from orchestrator.jobs.state import status_of
from orchestrator.jobs.store import create_root
from orchestrator.jobs.submissions import Submission, write_intent, write_outcomes, write_submitted
from orchestrator.mirror.projection import Study, Subject
from orchestrator.mirror.sync import Synced, sync

STUDY = "study"


@dataclass
class Lab:
    """Jobs by name, their attempts, and their runs in the store at ``uri``."""

    root: Root
    uri: str
    study: str = STUDY

    def __post_init__(self) -> None:
        self.jobs: dict[str, str] = {}

    def job(self, name: str, **settings: Any) -> str:
        plain = {"data": {"name": "digits"}, "seed": len(self.jobs)}
        config = RunConfig.from_plain({**plain, **settings})
        self.jobs[name] = job_id(config)
        write_job(self.root, self.jobs[name], config)
        return self.jobs[name]

    def submit(self, *names: str) -> Submission:
        jobs = [self.jobs.get(name) or self.job(name) for name in names]
        plain = {"executor": "fake", "jobs": jobs, "names": list(names), "placement": {}}
        plain |= {"max_parallel": None, "snapshot": "c", "python": "p", "data_root": "/d"}
        one = Submission.from_plain({**plain, "owner": "me"})
        write_submitted(write_intent(self.root, one, ""), "h")
        return one

    def measure(
        self,
        one: Submission,
        name: str,
        steps: range,
        *,
        number: int = 1,
        saved: int | None = None,
        ending: Ending | None = None,
    ) -> None:
        """An attempt that measured something after each of these steps."""
        job = self.root.job(self.jobs[name])
        folder = attempt(self.root, job.path.name, one, number, content_hash="da7a")
        from_step = None if steps.start == 0 else steps.start - steps.step
        journal = JournalWriter(folder.journal, Header(job.path.name, number, from_step, 100))
        for step in steps:
            value = float("nan") if step == 20 else 1.0 / (step + number)
            journal.point(step, step // 10, {"train/loss": value, "val/top1": float(step)})
            if step % 20 == 0:
                self.draw(name, number, step)
        journal.close()
        if saved is not None:
            (job.checkpoints / f"{number:03d}-{saved:09d}").mkdir(parents=True)
        if ending is not None:
            self.end(name, number, ending, step=steps[-1])

    def draw(self, name: str, number: int, step: int) -> None:
        """What a probe leaves at a step."""
        path = probe_file(self.root.job(self.jobs[name]).probes, number, step)
        path.parent.mkdir(exist_ok=True)
        drawn = io.BytesIO()
        Image.new("L", (800, 400), color=step).save(drawn, "png")
        np.savez(path, **{"picture/norm_map": np.frombuffer(drawn.getvalue(), np.uint8)})

    def end(self, name: str, number: int, ending: Ending, **facts: Any) -> None:
        from orchestrator.jobs.files import publish, to_json

        told = {"end": ending.value, "time": 9.0, **facts}
        publish(self.root.job(self.jobs[name]).attempt(number).exit, to_json(told))

    def end_member(self, one: Submission, index: int = 0, **how: Any) -> None:
        told = {"index": index, "time": 2e12, "started": True, **how}
        write_outcomes(self.root.submission(one.token), [told])

    def subjects(self) -> list[Subject]:
        facts = gather(self.root, self.jobs.values(), read_submissions(self.root))
        return [
            Subject(
                name, self.study, ("s",), 0, facts[job], status_of(facts[job], Standing(), {}, 0.0)
            )
            for name, job in self.jobs.items()
        ]

    def sync(self) -> Synced:
        return sync(self.root, self.uri, [self.shown()])

    def shown(self) -> Study:
        subjects = self.subjects()
        return Study(name=self.study, subjects=subjects, axes={"optim.lr": True}, note="Which?")

    def dump(self) -> dict[str, Any]:
        """All that the store shows of each run, by job; two runs of a job are an error."""
        client = MlflowClient(tracking_uri=self.uri)
        experiment = client.get_experiment_by_name(self.study)
        shown: dict[str, Any] = {}
        for run in client.search_runs([experiment.experiment_id]):
            job = run.data.tags["orchestrate.job"]
            assert job not in shown, "two runs of one job"
            history = {
                metric: [
                    (point.step, point.timestamp, repr(point.value))
                    for point in client.get_metric_history(run.info.run_id, metric)
                ]
                for metric in run.data.metrics
            }
            shown[job] = {
                "name": run.info.run_name,
                "status": run.info.status,
                "times": (run.info.start_time, run.info.end_time),
                "params": dict(run.data.params),
                "tags": dict(run.data.tags),
                "inputs": [
                    (one.dataset.name, one.dataset.digest, [tag.value for tag in one.tags])
                    for one in run.inputs.dataset_inputs
                ],
                "pictures": sorted(
                    file.path for file in client.list_artifacts(run.info.run_id, "images")
                ),
                "history": {metric: sorted(points) for metric, points in history.items()},
            }
        return shown


@pytest.fixture
def lab(tmp_path: Path, empty_store: Path) -> Lab:
    shutil.copyfile(empty_store, tmp_path / "mlflow.db")
    return Lab(create_root(tmp_path / "runs"), f"sqlite:///{tmp_path / 'mlflow.db'}")
