"""Whom a question is about: the jobs of sweeps or of a study, and rows for which a word holds."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orchestrator.controller.select import Named
from orchestrator.controller.where import LIVE, keys_named, meant, plain, refuse
from orchestrator.errors import SpecError
from orchestrator.jobs.layout import Root
from orchestrator.jobs.records import settings_in
from orchestrator.jobs.store import forms_of, launched_revision
from orchestrator.results.result import Result
from orchestrator.sweep.axes import CASE
from orchestrator.sweep.expressions import ExpressionError, parse
from orchestrator.sweep.operators import Value


def jobs_meant(root: Root, names: Sequence[str], where: str | None) -> Mapping[str, Any]:
    """The jobs of the newest revisions of some sweeps, or of all sweeps of a study, each once.

    A job of several sweeps has the axes of all, and its name in the first; where two of them call
    it by different cases, the first one's counts.

    Returns:
        as a revision: ``jobs``, each with its ``sweep``.

    Raises:
        SpecError: no sweep or study is called so; or as ``meant``, or ``where`` holds for none.
    """
    jobs: dict[str, dict[str, Any]] = {}
    sweeps = sweeps_meant(root, names)
    for sweep in sweeps:
        for job in launched_revision(root, sweep)["jobs"]:
            known = jobs.setdefault(job["id"], {**job, "sweep": sweep})
            known["axes"] = {**job["axes"], **known["axes"]}
    if where is not None:
        kept = {job.id for sweep in sweeps for job in meant(root, sweep, where)}
        if not kept:
            raise SpecError(f"--where holds for none of the {len(jobs)} jobs of {' '.join(names)}")
        jobs = {job: listed for job, listed in jobs.items() if job in kept}
    return {"jobs": [*jobs.values()]}


def unmeasured(
    root: Root, jobs: Sequence[Named], axes: Mapping[str, Mapping[str, Any]] | None = None
) -> list[Result]:
    """The jobs with their settings, and their parents', and nothing of what they measured.

    ``axes``: by id the place of each; left out, its sweep's.
    """
    parents = forms_of(root, {job.parent.id for job in jobs if job.parent})
    found = []
    for job in jobs:
        config, trained, _ = settings_in(root, job.id, job.form, parents)
        told = [one.to_plain() if one else {} for one in (config, trained)]
        place = (job.axes or {}) if axes is None else axes[job.id]
        found.append(Result(job.id, place, None, {}, told[0], trained=told[1]))
    return found


def sweeps_meant(root: Root, names: Sequence[str]) -> list[str]:
    """The sweeps of these names, each once; that of a study means all of its sweeps.

    Raises:
        SpecError: no sweep or study is called so.
    """
    sweeps = root.sweep_names()
    if {*names} <= {*sweeps}:  # revisions are large: studies are looked up where they are asked for
        return list(dict.fromkeys(names))
    studies = studies_of(root)
    if unknown := [name for name in names if name not in (*sweeps, *studies)]:
        raise SpecError(
            f"No sweep '{unknown[0]}' was launched under {root.path}, and no study of that name. "
            f"Sweeps there: {', '.join(sweeps) or 'none'}; studies: {', '.join(studies) or 'none'}"
        )
    found = ([name] if name in sweeps else studies[name] for name in names)
    return list(dict.fromkeys(sweep for one in found for sweep in one))


def sweeps_of(root: Root, name: str) -> list[str]:
    """The sweeps of the study of this name, or the sweep; of a name that both have, the study's.

    Raises:
        SpecError: nothing is called so.
    """
    studies, sweeps = studies_of(root), root.sweep_names()
    if name in studies:
        return studies[name]
    if name in sweeps:
        return [name]
    known = ", ".join(sorted({*studies, *sweeps})) or "none"
    raise SpecError(
        f"No study or sweep '{name}' was launched under {root.path}. There are: {known}"
    )


def studies_of(root: Root) -> dict[str, list[str]]:
    """The names of every study's sweeps, by their newest revisions."""
    studies: dict[str, list[str]] = {}
    for sweep in root.sweep_names():
        studies.setdefault(launched_revision(root, sweep)["study"], []).append(sweep)
    return studies


def condition_on(text: str, option: str) -> Callable[[Result], bool]:
    """An expression over settings and cases as a question to results.

    A group of settings is true where there is one; what a job has no setting for is null.

    Raises:
        SpecError: it is no expression, or asks for more than settings and cases; when it is asked,
            that it has no value there.
    """

    def of_rows(name: str) -> str | None:
        if name in (*LIVE, "id", "name"):
            return f"{name} is of one job; a row is told by settings and {CASE}"
        return refuse(name)

    try:
        expression = parse(text, of_rows)
    except ExpressionError as error:
        raise SpecError(f"{option}: {error}") from None

    def holds(result: Result) -> bool:
        values = {name: _of_result(result, name) for name in expression.names}
        try:
            return expression.holds(values.__getitem__)
        except ExpressionError as error:
            raise SpecError(f"{option}: {error} (job {result.name})") from None

    return holds


def _of_result(result: Result, name: str) -> Value:
    value = result.at(CASE if name == CASE else keys_named(name)[0])
    return True if isinstance(value, Mapping) else plain(value)
