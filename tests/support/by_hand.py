"""A root whose jobs are over, as files written by hand, no process."""

from collections.abc import Mapping
from typing import Any

from fakes.place import attempt
from fakes.slurm import submission

from orchestrator.config import JobConfig, RunConfig
from orchestrator.jobs.facts import Ending
from orchestrator.jobs.files import publish, to_json
from orchestrator.jobs.identity import job_id
from orchestrator.jobs.journal import Header, JournalWriter
from orchestrator.jobs.layout import Root
from orchestrator.jobs.records import form_of, write_job
from orchestrator.jobs.store import write_revision

STEPS, PER_EPOCH = 30, 10


def trained(seed: int, **model: Any) -> RunConfig:
    return RunConfig.from_plain({"data": {"name": "digits"}, "seed": seed, "model": model})


def done(
    root: Root,
    config: JobConfig,
    *epochs: Mapping[str, float],
    end: Ending | None = Ending.FINISHED,
) -> None:
    """A job that is over after three epochs, of whose journal as many are there as are told.

    ``end`` None: it is not over.
    """
    job = job_id(config)
    write_job(root, job, config)
    folder = attempt(root, job, submission(job, executor="fake"))
    if end:
        publish(folder.exit, to_json({"end": end.value, "time": 9.0, "step": STEPS}))
    with JournalWriter(folder.journal, Header(job, 1, None, STEPS)) as journal:
        for epoch, metrics in enumerate(epochs, 1):
            journal.point(PER_EPOCH * epoch, epoch, metrics)


def launched(root: Root, name: str, *jobs: tuple[JobConfig, Mapping[str, Any]]) -> None:
    listed = [
        {"id": job_id(config), "name": str(place), "axes": axes, "form": form_of(config)}
        for place, (config, axes) in enumerate(jobs)
    ]
    write_revision(root, name, {"study": name, "jobs": listed})
