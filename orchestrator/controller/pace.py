"""How fast jobs like one that is to come were, by the journals of a run root."""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from statistics import mean, median
from typing import Any, NamedTuple

from orchestrator.config import ClusterProfile, Placement, Resources
from orchestrator.config.allotment import partition_of
from orchestrator.config.child import parent_of
from orchestrator.controller.submit import due_of_revision
from orchestrator.errors import OrchestrateError
from orchestrator.jobs.facts import Ending, read_attempts
from orchestrator.jobs.identity import FROZEN_DEFAULTS
from orchestrator.jobs.journal import read_journal
from orchestrator.jobs.layout import Root
from orchestrator.jobs.store import launched_revision
from orchestrator.jobs.submissions import Submission

SECTIONS = ("task", "model.", "data.", "analysis.")
"""Settings that begin so decide how long an image takes."""
SETTINGS = ("train.batch_size", "train.tail", "train.repeats", "train.precision")
"""And so do these, or how many images an epoch has."""
IDLE = frozenset({"checkpoint_minutes", "log_every_steps", "keep_epochs", "peak_tflops"})
"""What of a placement does not change how fast a job is."""
ENOUGH = 8
"""Jobs of one kind whose journals are read."""
LOOKED_AT = 200
"""Jobs of one kind that are looked at, if they ran elsewhere or measured nothing."""


class Kind(NamedTuple):
    """What jobs have in common that take equally long: what is trained, how, and where."""

    trained: str
    placed: str
    where: str


@dataclass(frozen=True, slots=True)
class Pace:
    """What jobs of one kind measured.

    ``epoch_s``: an epoch with all that belongs to it; ``whole_s``: a start that went to the end.
    """

    jobs: int
    epoch_s: float | None
    images_per_s: float | None
    whole_s: float | None


@dataclass(slots=True)
class _Measured:
    jobs: set[str] = field(default_factory=set)
    epochs: list[float] = field(default_factory=list)
    speeds: list[float] = field(default_factory=list)
    wholes: list[float] = field(default_factory=list)

    def pace(self) -> Pace:
        return Pace(
            jobs=len(self.jobs),
            epoch_s=mean(self.epochs) if self.epochs else None,
            images_per_s=median(self.speeds) if self.speeds else None,
            whole_s=median(self.wholes) if self.wholes else None,
        )


def kind_of(reduced: Mapping[str, Any], placement: Placement, where: str) -> Kind:
    """The kind of a job, by its reduced form (see ``jobs.identity``)."""
    whole = {key: value for key, value in reduced.items() if key.startswith(_deciding(reduced))}
    others = {key: reduced.get(key, FROZEN_DEFAULTS.get(key)) for key in SETTINGS}
    trained = json.dumps({**whole, **others}, sort_keys=True)
    return Kind(trained, placement.model_dump_json(exclude=set(IDLE)), where)


def _deciding(reduced: Mapping[str, Any]) -> tuple[str, ...]:
    """Beginnings of the settings by which jobs take longer or shorter.

    Of a model that no job has trained its name tells how large it is.
    """
    elsewhere = parent_of(reduced.get("of", "")) is None
    return (*SECTIONS, "of") if elsewhere else SECTIONS


def place_of(cluster: ClusterProfile | None, resources: Resources, host: str) -> str:
    """Where equal devices are: one partition of a cluster, or one machine."""
    if cluster is None:
        return host
    with suppress(KeyError):  # of an older profile
        return f"{cluster.name}/{partition_of(cluster, resources)[0]}"
    return cluster.name


def paces(root: Root, kinds: Collection[Kind]) -> dict[Kind, Pace]:
    """What jobs of these kinds have measured; kinds of which none has are not in it."""
    wanted = {kind.trained for kind in kinds}
    candidates: dict[str, list[str]] = {}
    for job, trained in _started(root):
        if trained in wanted:
            candidates.setdefault(trained, []).append(job)
    found: dict[Kind, _Measured] = {kind: _Measured() for kind in kinds}
    submissions: dict[str, Submission] = {}
    for trained, jobs in candidates.items():
        open_kinds = {kind for kind in kinds if kind.trained == trained}
        for job in islice(dict.fromkeys(jobs), LOOKED_AT):
            open_kinds -= {kind for kind in open_kinds if len(found[kind].jobs) >= ENOUGH}
            if not open_kinds:
                break
            _read(root, job, trained, found, submissions)
    return {kind: one.pace() for kind, one in found.items() if one.jobs}


def _started(root: Root) -> Iterator[tuple[str, str]]:
    """Jobs that have a folder, and what is trained in them, by the sweeps' newest revisions."""
    folders = root.job_folders()
    for name in root.sweep_names():
        for due in due_of_revision(launched_revision(root, name)):
            if due.id in folders and due.form is not None:
                yield due.id, kind_of(due.form["reduced"], due.placement, "").trained


def _read(
    root: Root,
    job: str,
    trained: str,
    found: Mapping[Kind, _Measured],
    submissions: dict[str, Submission],
) -> None:
    """Add what each attempt on a job measured to the kind that it was of."""
    for attempt in read_attempts(root.job(job)):
        token = attempt.start.token
        with suppress(FileNotFoundError, OrchestrateError):
            if token not in submissions:
                submissions[token] = Submission.read(root.submission(token))
            one = submissions[token]
            where = place_of(one.cluster, one.resources, attempt.start.host)
            placed = one.placement.model_dump_json(exclude=set(IDLE))
            measured = found.get(Kind(trained, placed, where))
            journal = read_journal(root.job(job).attempt(attempt.number).journal, attempt.number)
            if measured is None or journal is None:
                continue
            metrics = [point.metrics for point in journal.points]
            epochs = [one["time/epoch_s"] for one in metrics if "time/epoch_s" in one]
            speeds = [one["train/images_per_s"] for one in metrics if "train/images_per_s" in one]
            measured.epochs += epochs
            measured.speeds += speeds
            ended = attempt.ended if attempt.ending is Ending.FINISHED else None
            wholes = [ended - attempt.start.time] if ended is not None else []
            measured.wholes += wholes
            if epochs or speeds or wholes:
                measured.jobs.add(job)
