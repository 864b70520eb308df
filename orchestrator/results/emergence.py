"""When artifacts emerged in the jobs of a sweep: the rule of `model.emergence`, arm by arm."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from model.emergence import RULE, Emergence, emergence, over_seeds
from orchestrator.errors import RootError
from orchestrator.jobs.layout import Root
from orchestrator.jobs.probes import read_history
from orchestrator.results.frame import Group, Result

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the rule says of one job; ``found`` is None where it cannot tell."""

    id: str
    name: str
    text: str
    found: Emergence | None


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


def arms_of(root: Root, groups: Sequence[Group], results: Sequence[Result]) -> list[Arm]:
    """The rule's answers, in the order of the groups."""
    names = {result.id: result.name for result in results}
    return [
        Arm(axes=group.axes, answers=[_answer(root, job, names[job]) for job in group.job_ids])
        for group in groups
    ]


def as_json(by: Sequence[str], arms: Sequence[Arm]) -> dict[str, Any]:
    """The documented form of ``emergence --json``."""
    rows = [
        {
            **arm.axes,
            "seeds": len(arm.answers),
            "judged": sum(answer.found is not None for answer in arm.answers),
            "emerged": sum(bool(a.found and a.found.by is not None) for a in arm.answers),
            "jobs": [_plain(answer) for answer in arm.answers],
        }
        for arm in arms
    ]
    return {"schema": SCHEMA, "by": list(by), "rule": asdict(RULE), "rows": rows}


def _answer(root: Root, job: str, name: str) -> Answer:
    """One damaged file hides no other job."""
    try:
        looks = read_history(root.job(job).probes).looks
    except RootError as error:
        return Answer(id=job, name=name, text=str(error), found=None)
    if len(looks) < RULE.consecutive:
        text = f"not to be told: {len(looks)} probes, the rule needs {RULE.consecutive} in a row"
        return Answer(id=job, name=name, text=text, found=None)
    found = emergence(looks)
    return Answer(id=job, name=name, text=str(found), found=found if found.judged else None)


def _plain(answer: Answer) -> dict[str, Any]:
    found = None if answer.found is None else asdict(answer.found)
    return {"id": answer.id, "name": answer.name, "answer": answer.text, "found": found}
