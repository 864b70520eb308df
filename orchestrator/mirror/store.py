"""The MLflow side of the mirror: experiments, runs and batches; nothing is known of files here."""

import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from orchestrator.jobs.journal import Point
from orchestrator.mirror.projection import Mark, Projection

ROOT_TAG, JOB_TAG = "orchestrate.root", "orchestrate.job"
"""These two name a run."""
MARK_TAG, STAMP_TAG = "orchestrate.mark", "orchestrate.stamp"
METRICS_LIMIT, PARAMS_LIMIT, PAGE = 1000, 100, 1000
"""What MLflow takes in one request, and gives in one answer."""
PAUSES_S = (0.5, 2.0)
"""Before a call that failed is made again."""
PASSING = ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED")
"""Errors that may be gone the next time."""
KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Opens an experiment in the view for training; MLflow would open the one for conversations."""
HABITS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
}
"""No word to others, and no minutes of waiting for a server that is away; a user's own win."""
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Known:
    """A run that the store has: its id, and how much of its job it has."""

    run: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment by its id, and by a stamp that no other has had: stores count ids from one."""

    id: str
    stamp: str


class Store:
    """An MLflow tracking store, by its URI."""

    def __init__(self, uri: str) -> None:
        logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells of every migration
        for name, value in HABITS.items():
            os.environ.setdefault(name, value)
        self._client = MlflowClient(tracking_uri=uri)

    def _ask(self, call: Callable[..., Answer], *args: Any, **more: Any) -> Answer:
        """What a call answers; one that failed, and may not the next time, is made again."""
        for pause_s in PAUSES_S:
            try:
                return call(*args, **more)
            except MlflowException as error:
                if error.error_code not in PASSING:
                    raise
                time.sleep(pause_s)
        return call(*args, **more)

    def experiment(self, study: str, artifacts: str | None) -> "Experiment":
        """The study's experiment, made if there is none."""
        found = self._ask(self._client.get_experiment_by_name, study)
        if found is None:
            tags = {**KIND, STAMP_TAG: uuid.uuid4().hex}
            try:
                made = self._ask(self._client.create_experiment, study, artifacts, tags=tags)
                return Experiment(str(made), tags[STAMP_TAG])
            except MlflowException:  # another root's mirror may have been first
                found = self._ask(self._client.get_experiment_by_name, study)
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            self._ask(self._client.restore_experiment, found.experiment_id)
        stamp = found.tags.get(STAMP_TAG)
        if stamp is None:
            stamp = uuid.uuid4().hex
            self._ask(self._client.set_experiment_tag, found.experiment_id, STAMP_TAG, stamp)
        return Experiment(found.experiment_id, stamp)

    def is_active(self, run: str) -> bool:
        """Whether a run is there, and nobody has deleted it."""
        try:
            return bool(self._ask(self._client.get_run, run).info.lifecycle_stage == "active")
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return False

    def runs(
        self, experiment: str, root: str, job: str | None = None
    ) -> Iterator[tuple[str, Known]]:
        """The runs of a root in an experiment, with their jobs; or only those of one job."""
        wanted = f"tags.`{ROOT_TAG}` = '{root}'"
        if job is not None:
            wanted += f" and tags.`{JOB_TAG}` = '{job}'"
        page: str | None = None
        while True:
            found = self._ask(
                self._client.search_runs,
                [experiment],
                filter_string=wanted,
                max_results=PAGE,
                page_token=page,
            )
            for run in found:
                tags = run.data.tags
                yield tags[JOB_TAG], Known(run.info.run_id, Mark.read(tags.get(MARK_TAG)))
            page = found.token
            if not page:
                return

    def create(self, experiment: str, one: Projection, root: str) -> str:
        """A run for a job, which can be found again from its first moment."""
        tags = {ROOT_TAG: root, JOB_TAG: one.job}
        made = self._ask(
            self._client.create_run,
            experiment,
            start_time=_ms(one.start),
            tags=tags,
            run_name=one.name,
        )
        return str(made.info.run_id)

    def remove(self, run: str) -> None:
        """Take away a run."""
        self._ask(self._client.delete_run, run)

    def send(self, run: str, points: Sequence[Point]) -> None:
        """Append points; the store passes over those it has."""
        for batch in _batches(points):
            self._ask(self._client.log_batch, run, metrics=batch)

    def describe(self, run: str, one: Projection, *, params: bool) -> None:
        """Tags and status, and the parameters, which never change, if they are not there yet."""
        pairs = [Param(key, value) for key, value in one.params.items()] if params else []
        for first in range(0, len(pairs), PARAMS_LIMIT):
            self._ask(self._client.log_batch, run, params=pairs[first : first + PARAMS_LIMIT])
        self._ask(
            self._client.log_batch,
            run,
            tags=[RunTag(key, value) for key, value in one.tags.items()],
        )
        if one.end is None:
            self._ask(self._client.update_run, run, status=one.status.value, name=one.name)
        else:
            self._ask(
                self._client.set_terminated, run, status=one.status.value, end_time=_ms(one.end)
            )

    def mark(self, run: str, mark: Mark) -> None:
        """Say how much of its job a run has, when it has it."""
        self._ask(self._client.set_tag, run, MARK_TAG, str(mark))


def _batches(points: Sequence[Point]) -> Iterator[list[Metric]]:
    """As many metrics as one request takes; the epoch is a metric like any other."""
    batch: list[Metric] = []
    for point in points:
        for name, value in (*point.metrics.items(), ("epoch", float(point.epoch))):
            batch.append(Metric(name, value, _ms(point.time), point.step))
        while len(batch) >= METRICS_LIMIT:
            yield batch[:METRICS_LIMIT]
            batch = batch[METRICS_LIMIT:]
    if batch:
        yield batch


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
