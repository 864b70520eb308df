"""The verb compare: in what two jobs differ, before they ran and in what they measured."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

from orchestrator.config import RunConfig
from orchestrator.controller.aspects import Facts, Found, facts_of, find
from orchestrator.controller.select import Named
from orchestrator.documents.comparisons import Answers as AnswersDocument
from orchestrator.documents.comparisons import ComparedJob, CompareDocument, Difference
from orchestrator.documents.comparisons import CurvePair as CurveDocument
from orchestrator.errors import RootError
from orchestrator.jobs.facts import Attempt, Ending, final_attempt
from orchestrator.jobs.journal import History
from orchestrator.jobs.layout import Root
from orchestrator.jobs.predictions import Predictions
from orchestrator.jobs.saved import saved_in, still_count
from orchestrator.jobs.summary import lost_measurements

if TYPE_CHECKING:
    from orchestrator.results.curves import Answers, CurvePair


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
        whole: whether that is the end of a run that finished: of a child's parent, too.
        faults: what of it is gone or damaged.
    """

    job: Named
    ending: Ending | None
    epoch: int
    predicted: int | None = None
    whole: bool = False
    faults: tuple[str, ...] = ()

    def to_plain(self) -> ComparedJob:
        """As ``compare --json`` prints it."""
        return {
            "id": self.job.id,
            "name": self.job.name,
            "ending": self.ending and self.ending.value,
            "epoch": self.epoch,
            "predicted": self.predicted,
            "faults": self.faults,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs side by side.

    Attributes:
        one: the first; ``other`` the second.
        differs: what they have not in common.
        curves: what they measured.
        answers: what they said of the same images; None: nothing.
        images_differ: whether that is because they predicted other images.
    """

    one: Side
    other: Side
    differs: list[Differs]
    curves: "list[CurvePair]"
    answers: "Answers | None"
    images_differ: bool = False


@dataclass(frozen=True, slots=True)
class _Said:
    """What a run predicted last, and on which content of its set; None: that is not known."""

    step: int
    content: str | None
    predictions: Predictions


def compare(root: Root, one: Named, other: Named) -> Comparison:
    """What two jobs of a root have not in common, in the order in which one would ask.

    Raises:
        OrchestrateError: the record of one of them is missing or damaged.
    """
    from orchestrator.results.curves import answers, pairs  # noqa: PLC0415 - scipy comes with it

    first, second = found = find(root, one, other)
    told = [_predicted(root, each) for each in found]
    mine, theirs = (_side(each, *what) for each, what in zip(found, told, strict=True))
    said = [predicted for predicted, _ in told if predicted]
    whole, both = mine.whole and theirs.whole, None
    if len(said) == 2 and _of_one_set(found, said):
        both = answers(*(each.predictions for each in said), whole=whole)
    return Comparison(
        mine,
        theirs,
        list(differences(*(facts_of(root, each) for each in found))),
        pairs(first.history, second.history),
        both,
        images_differ=len(said) == 2 and both is None,
    )


def _predicted(root: Root, found: Found) -> tuple[_Said | None, str]:
    """What a run said of images last, if it kept that; or why it cannot be read."""
    kept = still_count(saved_in(root.job(found.job.id).predictions), found.facts.attempts)
    if not kept:
        return None, ""
    last = kept[-1]
    starts = {one.number: one.start.facts for one in found.facts.attempts}
    content = starts.get(last.attempt, {}).get("content_hash")
    try:
        return _Said(last.step, content, Predictions.read(last.path)), ""
    except (FileNotFoundError, RootError):
        return None, f"its predictions are not compared: {last.path} is missing or damaged"


def _of_one_set(found: Iterable[Found], said: Iterable[_Said]) -> bool:
    """Whether both predicted images of one dataset, of one content as far as that is known.

    Images of other sets may be called the same.
    """
    sets = {each.config.data.name for each in found}
    return len(sets) == 1 and len({each.content for each in said} - {None}) < 2


def _side(found: Found, said: _Said | None, fault: str) -> Side:
    final, epochs = final_attempt(found.facts.attempts), _epochs(found.history)
    lost = found.facts.fault or lost_measurements(found.facts, found.history)
    trained = isinstance(found.config, RunConfig)
    ends = [final] if trained else [final, final_attempt(found.parent)]
    return Side(
        found.job,
        final.ending if final else None,
        max(epochs.values(), default=0),
        epochs.get(said.step) if said else None,
        not lost and said is not None and all(_finished_at(end, said.step) for end in ends),
        tuple(filter(None, (lost, fault))),
    )


def _epochs(history: History) -> dict[int, int]:
    return {point.step: point.epoch for point in history.points}


def _finished_at(end: Attempt | None, step: int) -> bool:
    """Whether what was said after a step was said at that end, and a run finished there."""
    return end is not None and end.ending is Ending.FINISHED and step >= end.step


def differences(one: Facts, other: Facts) -> Iterator[Differs]:
    """What is not the same, aspect by aspect, by name."""
    for aspect, first in one.items():
        second = other[aspect]
        for what in sorted(first.keys() | second.keys()):
            if first.get(what) != second.get(what):
                yield Differs(aspect, what, first.get(what), second.get(what))


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
