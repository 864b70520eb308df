"""The verb compare: in what two jobs differ, before they ran and in what they measured."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

from orchestrator.controller.origin import origin_of
from orchestrator.controller.select import Named
from orchestrator.documents.comparisons import Answers as AnswersDocument
from orchestrator.documents.comparisons import ComparedJob, CompareDocument, Difference
from orchestrator.documents.comparisons import CurvePair as CurveDocument
from orchestrator.errors import OrchestrateError
from orchestrator.jobs.facts import Attempt, Ending, contributors, final_attempt
from orchestrator.jobs.files import read_record
from orchestrator.jobs.gather import attempts_on
from orchestrator.jobs.identity import flatten
from orchestrator.jobs.journal import History
from orchestrator.jobs.layout import Root
from orchestrator.jobs.predictions import Predictions, predictions_by_step
from orchestrator.jobs.probes import read_history as read_probes
from orchestrator.jobs.records import read_job
from orchestrator.jobs.submissions import Submission
from orchestrator.results.histories import read_histories

if TYPE_CHECKING:
    from orchestrator.results.curves import Answers, CurvePair

MEASURED_WITH = ("packages", "python", "system", "libc", "processor", "cores", "driver", "gpus")
"""Of ``environment.json`` what may change a number; where a job ran does not."""
Facts = Mapping[str, Mapping[str, Any]]
"""By aspect (settings, placement, code, data, environment), dotted names and values."""
VARIABLES = ("CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE", "OMP_NUM_THREADS", "MKL_CBWR")


@dataclass(frozen=True, slots=True)
class Differs:
    """One thing that two runs do not have in common; None: one lacks it."""

    aspect: str
    what: str
    one: Any
    other: Any


@dataclass(frozen=True, slots=True)
class Side:
    """One of two runs.

    Attributes:
        job: which.
        ending: how it ended; None: it is not over.
        epoch: so many are complete.
        predicted: after how many it said of each image what is compared; None: that is not known,
            or it kept none.
        whole: whether that is the end of a run that finished.
    """

    job: Named
    ending: Ending | None
    epoch: int
    predicted: int | None = None
    whole: bool = False

    def to_plain(self) -> ComparedJob:
        """As ``compare --json`` prints it."""
        return {
            "id": self.job.id,
            "name": self.job.name,
            "ending": self.ending and self.ending.value,
            "epoch": self.epoch,
            "predicted": self.predicted,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs side by side."""

    one: Side
    other: Side
    differs: list[Differs]
    curves: "list[CurvePair]"
    answers: "Answers | None"


def compare(root: Root, one: Named, other: Named) -> Comparison:
    """What two jobs of a root have not in common, in the order in which one would ask.

    Raises:
        RootError: a file of one of them is damaged.
    """
    from orchestrator.results.curves import answers, pairs  # noqa: PLC0415 - scipy comes with it

    ids = [one.id, other.id]
    attempts, histories = attempts_on(root, ids), read_histories(root, ids)
    first, second = (_facts(root, job, attempts[job.id]) for job in (one, other))
    kept = [predictions_by_step(root.job(job).predictions, attempts[job]) for job in ids]
    mine, theirs = (
        _side(job, attempts[job.id], histories[job.id], max(steps, default=None))
        for job, steps in zip((one, other), kept, strict=True)
    )
    said = [Predictions.read(steps[max(steps)]) for steps in kept if steps]
    whole = mine.whole and theirs.whole
    return Comparison(
        mine,
        theirs,
        list(differences(first, second)),
        pairs(histories[one.id], histories[other.id]),
        answers(*said, whole=whole) if len(said) == 2 else None,
    )


def _side(job: Named, attempts: Sequence[Attempt], history: History, step: int | None) -> Side:
    """``step``: after which the predictions were made that are compared."""
    final, epochs = final_attempt(attempts), {p.step: p.epoch for p in history.points}
    return Side(
        job,
        final.ending if final else None,
        max(epochs.values(), default=0),
        None if step is None else epochs.get(step),
        final is not None
        and final.ending is Ending.FINISHED
        and step is not None
        and step >= final.step,
    )


def differences(one: Facts, other: Facts) -> Iterator[Differs]:
    """What is not the same, aspect by aspect, by name."""
    for aspect, first in one.items():
        second = other[aspect]
        for what in sorted(first.keys() | second.keys()):
            if first.get(what) != second.get(what):
                yield Differs(aspect, what, first.get(what), second.get(what))


def _facts(root: Root, job: Named, attempts: tuple[Attempt, ...]) -> Facts:
    """What a job was made with; of several starts the last one that counts tells."""
    counted = contributors(attempts) or [one for one in attempts[::-1] if not one.discarded]
    last = counted[0] if counted else None
    probes = read_probes(root.job(job.id).probes, attempts) if attempts else None
    settings = dict(flatten(read_job(root, job.id, None if attempts else job.form).to_plain()))
    return {
        "settings": settings,
        "placement": _placement(root, last),
        "code": _code(root, last),
        "data": {**_data(last), "probed images": sorted(probes.batches) if probes else []},
        "environment": _environment(root, job.id, last),
    }


def _placement(root: Root, last: Attempt | None) -> dict[str, Any]:
    if last is None:
        return {}
    with suppress(FileNotFoundError, OrchestrateError):
        placement = Submission.read(root.submission(last.start.token)).placement
        return dict(flatten(placement.to_plain()))
    return {}


def _code(root: Root, last: Attempt | None) -> dict[str, Any]:
    if last is None:
        return {}
    origin = origin_of(root, last.start.token)
    return {"hash": last.start.code_hash, "origin": str(origin) if origin else None}


def _data(last: Attempt | None) -> dict[str, Any]:
    facts = last.start.facts if last else {}
    return {name: facts.get(f"{name}_hash") for name in ("content", "layout")}


def _environment(root: Root, job: str, last: Attempt | None) -> dict[str, Any]:
    if last is None:
        return {}
    with suppress(FileNotFoundError, OrchestrateError):
        told = read_record(root.job(job).attempt(last.number).environment)
        kept = {name: told.get(name) for name in MEASURED_WITH}
        set_here = {name: told.get("variables", {}).get(name) for name in VARIABLES}
        return dict(
            flatten({**kept, "variables": set_here, "world": last.start.facts.get("world")})
        )
    return {}


def as_json(found: Comparison) -> CompareDocument:
    """The documented form of ``compare --json``."""
    return {
        "schema": 1,
        "one": found.one.to_plain(),
        "other": found.other.to_plain(),
        "differs": [cast("Difference", asdict(one)) for one in found.differs],
        "curves": [cast("CurveDocument", asdict(one)) for one in found.curves],
        "answers": cast("AnswersDocument", asdict(found.answers)) if found.answers else None,
    }
