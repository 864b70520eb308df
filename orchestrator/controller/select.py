"""Finding jobs by what a user types: a study's, sweep's or point's name, a job id's beginning."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from orchestrator.errors import SpecError
from orchestrator.jobs.layout import Root
from orchestrator.jobs.parents import Parent
from orchestrator.jobs.records import Form
from orchestrator.jobs.settled import recall
from orchestrator.jobs.store import launched_ever, newest_revision

SHORTEST_PREFIX = 4
SHORT_ID = 8


@dataclass(frozen=True, slots=True)
class Named:
    """A job and its readable name, and the sweep it was found in, if one still has it."""

    id: str
    name: str
    sweep: str = field(default="", compare=False)
    form: Form | None = field(default=None, compare=False)
    """What it is, as its sweep has it."""
    axes: Mapping[str, Any] | None = field(default=None, compare=False)
    """Its place on the axes of its sweep."""
    parent: Parent | None = field(default=None, compare=False)
    """What it waits for, as its sweep has it."""
    expect: str = field(default="", compare=False)
    """What its sweep says is known of the model that it analyses."""


def select(root: Root, text: str | None) -> list[Named]:
    """The jobs that ``text`` means; None: all there are, those that no sweep still has last.

    A sweep's name means its newest revision's jobs, a study's those of its sweeps, each once;
    ``SWEEP/POINT`` or a point's name means one; otherwise it is the beginning of job ids, at least
    four digits, of any revision.

    Raises:
        SpecError: nothing is meant by it, or a point's name is in several sweeps.
    """
    revisions = {name: newest_revision(root, name) for name in root.sweep_names()}
    sweeps = {name: list(_jobs(name, found)) for name, found in revisions.items()}
    launched = [job for jobs in sweeps.values() for job in jobs]
    if text is None:
        return _distinct(chain(launched, _dropped(root, launched)))
    if text in sweeps:
        return sweeps[text]
    studies = {name: found[1].get("study", name) for name, found in revisions.items() if found}
    if text in studies.values():
        return _distinct(job for name, of in studies.items() if of == text for job in sweeps[name])
    by_name = [
        job
        for sweep, jobs in sweeps.items()
        for job in jobs
        if text in (job.name, f"{sweep}/{job.name}")
    ]
    if len({job.id for job in by_name}) == 1:
        return by_name[:1]
    if by_name:
        where = [sweep for sweep, jobs in sweeps.items() if any(j.name == text for j in jobs)]
        raise SpecError(
            f"'{text}' is a point of several sweeps ({', '.join(where)}); "
            f"say which: {where[0]}/{text}"
        )
    if len(text) >= SHORTEST_PREFIX:
        by_id = _distinct(
            job for job in chain(launched, _dropped(root, launched)) if job.id.startswith(text)
        )
        if by_id:
            return by_id
    known = [", ".join(dict.fromkeys(names)) or "none" for names in (sweeps, studies.values())]
    raise SpecError(
        f"Nothing under {root.path} is called '{text}'. Sweeps there: {known[0]}; studies: "
        f"{known[1]}; a job is named by SWEEP/POINT, or by the first {SHORTEST_PREFIX} or more "
        "digits of its id (see: orchestrate status)"
    )


def select_one(root: Root, text: str) -> Named:
    """The one job that ``text`` means.

    Raises:
        SpecError: it means none, or several.
    """
    found = select(root, text)
    if len(found) > 1:
        names = ", ".join(job.name for job in found[:8])
        raise SpecError(f"'{text}' means {len(found)} jobs ({names} ...); name one of them")
    return found[0]


def _jobs(sweep: str, newest: tuple[int, Mapping[str, Any]] | None) -> Iterator[Named]:
    for job in newest[1]["jobs"] if newest else ():
        form, axes = job.get("form"), job.get("axes")
        expect = job.get("expect", "")
        yield Named(job["id"], job["name"], sweep, form, axes, Parent.listed(job), expect)


def _dropped(root: Root, launched: Sequence[Named]) -> list[Named]:
    """Jobs that no sweep has any more: those that started, or were submitted and may do so.

    A submission that was imported may have jobs that were not: no sweep here ever had them.
    """
    memory, listed = recall(root), {job.id for job in launched}
    started = {job for job in memory.folders if root.job(job).record.is_file()}
    asked = launched_ever(root, root.sweep_names()) & memory.tokens.keys()
    return [Named(job, job[:SHORT_ID]) for job in sorted((started | asked) - listed)]


def _distinct(jobs: Iterator[Named]) -> list[Named]:
    first: dict[str, Named] = {}
    for job in jobs:
        first.setdefault(job.id, job)
    return list(first.values())
