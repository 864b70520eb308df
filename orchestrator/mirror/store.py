"""The MLflow side of the mirror: experiments, runs and batches; nothing is known of files here."""

import json
import logging
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mlflow import MlflowClient, entities
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from orchestrator.jobs.journal import Point
from orchestrator.mirror.pictures import Picture
from orchestrator.mirror.projection import Mark, Projection, Study, plain

ROOT_TAG, JOB_TAG = "orchestrate.root", "orchestrate.job"
"""These two name a run."""
MARK_TAG, REMOVED_TAG = "orchestrate.mark", "orchestrate.removed"
STAMP_TAG = "orchestrate.stamp.{}"
"""Of an experiment; with a root's id."""
NOTE_TAG = "mlflow.note.content"
"""What a page says of an experiment."""
NOTE_LIMIT = 5000
"""Characters of it that are shown; MLflow takes 20,000."""
METRICS_LIMIT, PARAMS_LIMIT, PAGE = 1000, 100, 1000
"""What MLflow takes in one request, and gives in one answer."""
PICTURED = {"mlflow.loggedImages": "True"}
"""The page looks for pictures only in runs that bear this tag."""
DIGEST = 12
"""Characters of a dataset's content hash that are shown; the whole is in its source."""
PAUSES_S = (0.5, 2.0)
"""Before a call that failed is made again."""
PASSING = ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED")
"""Errors that may be gone the next time."""
KIND = {"mlflow.experimentKind": "custom_model_development"}
"""What MLflow calls an experiment that trains; which view opens is said in its address."""
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Known:
    """A run that the store has: its id, and how much of its job it has."""

    run: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment.

    ``stamp`` names the state in which a root's mirror left it; None where nothing may be known of
    its runs. No other state has had it: not another store's, which count ids from one, nor one of a
    store that was put back from a copy.
    """

    id: str
    stamp: str | None
    tags: Mapping[str, str]


class Store:
    """An MLflow tracking store, by its URI.

    ``artifacts`` is where new experiments keep their pictures; None: where the server likes.
    """

    def __init__(self, uri: str, *, artifacts: str | None) -> None:
        logging.getLogger("mlflow").setLevel(logging.ERROR)  # what it warns of, we tell in a line
        self._artifacts = artifacts
        self._client = MlflowClient(tracking_uri=uri)

    def _ask(self, call: Callable[..., Answer], *args: Any, **more: Any) -> Answer:
        """What a call answers; one that failed, and may not the next time, is made again.

        Raises:
            MlflowException: it failed for good, or too often; of files and connections too.
        """
        for pause_s in PAUSES_S:
            try:
                return call(*args, **more)
            except MlflowException as error:
                if error.error_code not in PASSING:
                    raise
            except OSError:  # requests' errors are of this family
                pass
            time.sleep(pause_s)
        try:
            return call(*args, **more)
        except OSError as error:
            raise MlflowException(str(error)) from None

    def experiment(self, study: Study, root: str) -> Experiment:
        """The study's experiment, made if there is none, with its note."""
        found = self._ask(self._client.get_experiment_by_name, study.name)
        if found is None:
            found = self._made(study.name)
        stamp = found.tags.get(STAMP_TAG.format(root))
        if found.lifecycle_stage == "deleted":
            self._ask(self._client.restore_experiment, found.experiment_id)
            stamp = None  # with it came back every run that was ever removed from it
        one = Experiment(str(found.experiment_id), stamp, found.tags)
        self.tag(one, {**KIND, NOTE_TAG: plain(study.note, NOTE_LIMIT)})
        return one

    def stamp(self, experiment: Experiment, root: str) -> str:
        """Give the experiment a new stamp, before its runs are changed."""
        stamp = uuid.uuid4().hex
        self.tag(experiment, {STAMP_TAG.format(root): stamp})
        return stamp

    def tag(self, experiment: Experiment, tags: Mapping[str, str]) -> None:
        """Let an experiment have these tags."""
        for name, value in tags.items():
            if experiment.tags.get(name) != value:
                self._ask(self._client.set_experiment_tag, experiment.id, name, value)

    def _made(self, name: str) -> entities.Experiment:
        try:
            made = self._ask(self._client.create_experiment, name, self._artifacts)
        except MlflowException:  # another root's mirror may have been first
            found = self._ask(self._client.get_experiment_by_name, name)
            if found is None:
                raise
            return found
        return self._ask(self._client.get_experiment, made)

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
        """The runs of a root in an experiment, with their jobs; or only those of one job.

        A run that was removed, and that somebody restored, is removed again.
        """
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
                if REMOVED_TAG in tags:
                    self.remove(run.info.run_id)
                elif JOB_TAG in tags:
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
        """Take away a run, so that it is known for removed should somebody restore it."""
        self._ask(self._client.set_tag, run, REMOVED_TAG, "measured anew")
        self._ask(self._client.delete_run, run)

    def send(self, run: str, points: Sequence[Point]) -> None:
        """Append points; the store passes over those it has."""
        for batch in _batches(points):
            self._ask(self._client.log_batch, run, metrics=batch)

    def describe(self, run: str, one: Projection, mark: Mark, *, anew: bool) -> None:
        """Status, tags and the mark; of a run made ``anew`` also what never changes."""
        pairs = [Param(key, value) for key, value in one.params.items()] if anew else []
        for first in range(0, len(pairs), PARAMS_LIMIT):
            self._ask(self._client.log_batch, run, params=pairs[first : first + PARAMS_LIMIT])
        if anew and one.dataset:
            self._ask(self._client.log_inputs, run, datasets=[_input(*one.dataset)])
        tags = {**one.tags, MARK_TAG: str(mark)}
        self._ask(self._client.log_batch, run, tags=[RunTag(*pair) for pair in tags.items()])
        self._ask(self._client.update_run, run, status=one.status.value, name=one.name)
        if one.end is not None:
            self._ask(
                self._client.set_terminated, run, status=one.status.value, end_time=_ms(one.end)
            )

    def upload(self, run: str, shown: Sequence[Picture]) -> None:
        """Put pictures where the page's grid looks for them; those that are there stay the same."""
        with tempfile.TemporaryDirectory(prefix="orchestrate-pictures-") as folder:
            for picture in shown:
                for name, content in picture.files():
                    (Path(folder) / name).write_bytes(content)
            self._ask(self._client.log_artifacts, run, folder, "images")

    def mark(self, run: str, mark: Mark) -> None:
        """Say how much of its job a run has, when it has it."""
        tags = {MARK_TAG: str(mark)} | (PICTURED if mark.pictured >= 0 else {})
        self._ask(self._client.log_batch, run, tags=[RunTag(*pair) for pair in tags.items()])


def _input(name: str, digest: str) -> DatasetInput:
    """A dataset that a run was trained on, by its name and content."""
    source = json.dumps({"name": name, "content_hash": digest})
    dataset = Dataset(name, digest[:DIGEST], "local", source)
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])


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
