"""When artifacts emerged in the jobs of a sweep: the rule of `model.emergence`, arm by arm."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

from model.emergence import RULE, Emergence, emergence, over_seeds
from orchestrator.documents.results import (
    Emerged,
    EmergenceDocument,
    EmergenceJob,
    EmergenceRow,
    Rule,
)
from orchestrator.errors import RootError, SpecError
from orchestrator.jobs.facts import Attempt
from orchestrator.jobs.gather import attempts_on
from orchestrator.jobs.layout import Root
from orchestrator.jobs.probes import read_history
from orchestrator.results.groups import Group
from orchestrator.results.result import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the rule says of one job; ``found`` is None where it cannot tell.

    ``batches``: SHA-256 of the lists of images of its probes; of several, numbers do not compare.
    """

    id: str
    name: str
    text: str
    found: Emergence | None
    batches: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """The jobs of a group, seeds together."""

    axes: Mapping[str, Any]
    answers: Sequence[Answer]

    @property
    def summary(self) -> str:
        """In how many of the seeds that can be judged artifacts emerged."""
        judged = [answer.found for answer in self.answers if answer.found is not None]
        return over_seeds(judged) if judged else "-"

    @property
    def batches(self) -> frozenset[str]:
        """Of all its jobs."""
        return frozenset[str]().union(*(answer.batches for answer in self.answers))


def that_train(results: Sequence[Result]) -> list[Result]:
    """Those of jobs that train, which alone are probed over epochs.

    Raises:
        SpecError: there are none.
    """
    found = [one for one in results if one.config.get("task", "train") == "train"]
    if not found:
        raise SpecError(
            "None of these jobs trains, and artifacts emerge in training: name the sweep of the "
            "models that they look at"
        )
    return found


def arms_of(root: Root, groups: Sequence[Group], results: Sequence[Result]) -> list[Arm]:
    """The rule's answers, in the order of the groups."""
    names = {result.id: result.name for result in results}
    attempts = attempts_on(root, [job for group in groups for job in group.job_ids])
    return [
        Arm(
            axes=group.axes,
            answers=[answer_of(root, job, names[job], attempts[job]) for job in group.job_ids],
        )
        for group in groups
    ]


def notes_of(arms: Sequence[Arm]) -> list[str]:
    """A sentence for each job whose probes are of different images, and each arm whose jobs' are.

    That of an arm is left out where one of its jobs is told already.
    """
    notes = []
    for arm in arms:
        mixed = {a.name: a.batches for a in arm.answers if len(a.batches) > 1}
        names = ", ".join(answer.name for answer in arm.answers if answer.batches)
        if not mixed and len(arm.batches) > 1:
            mixed = {names: arm.batches}
        notes += [
            f"{who}: probed on {len(lists)} different lists of images, whose numbers do not "
            "compare. Was the dataset prepared anew?"
            for who, lists in mixed.items()
        ]
    return notes


def as_json(by: Sequence[str], arms: Sequence[Arm]) -> EmergenceDocument:
    """The documented form of ``emergence --json``."""
    rows = [
        {
            **arm.axes,
            "seeds": len(arm.answers),
            "judged": sum(answer.found is not None for answer in arm.answers),
            "emerged": sum(bool(a.found and a.found.by is not None) for a in arm.answers),
            "lists_of_images": len(arm.batches),
            "jobs": [_plain(answer) for answer in arm.answers],
        }
        for arm in arms
    ]
    return {
        "schema": 1,
        "by": by,
        "rule": cast("Rule", asdict(RULE)),
        "rows": cast("list[EmergenceRow]", rows),
        "notes": notes_of(arms),
    }


def answer_of(root: Root, job: str, name: str, attempts: Sequence[Attempt]) -> Answer:
    """The rule's answer for one job; one whose files are damaged hides no other."""
    try:
        history = read_history(root.job(job).probes, attempts)
    except RootError as error:
        return Answer(id=job, name=name, text=str(error), found=None)
    number = len(history.looks)
    if number < RULE.consecutive:
        made = "1 probe" if number == 1 else f"{number} probes"
        text = f"not to be told: {made}, the rule needs {RULE.consecutive} in a row"
        return Answer(id=job, name=name, text=text, found=None, batches=history.batches)
    found = emergence(history.looks)
    told = found if found.judged else None
    return Answer(id=job, name=name, text=str(found), found=told, batches=history.batches)


def _plain(answer: Answer) -> EmergenceJob:
    found = asdict(answer.found) if answer.found else None
    if found:
        found.pop("unconfirmed")  # the answer in words has it
    return {
        "id": answer.id,
        "name": answer.name,
        "answer": answer.text,
        "found": cast("Emerged | None", found),
        "lists_of_images": len(answer.batches),
    }
