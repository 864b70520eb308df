"""A study as its sweeps have it: which jobs, how they differ, what they are asked."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from orchestrator.controller.select import SHORT_ID
from orchestrator.controller.survey import Survey
from orchestrator.errors import RootError, SpecError
from orchestrator.jobs.files import read_record
from orchestrator.jobs.identity import completed
from orchestrator.jobs.layout import Root
from orchestrator.jobs.store import launched_revision
from orchestrator.mirror.projection import Study, Subject


@dataclass(frozen=True, slots=True)
class Outline:
    """A study as its sweeps' newest revisions have it.

    ``jobs``: each with its sweeps and its name in them; ``arms``: the number of each job's point
    but for the seed; ``axes``: the configuration keys that vary, see `varied`.
    """

    study: str
    jobs: Mapping[str, Sequence[tuple[str, str]]]
    arms: Mapping[str, int]
    axes: Mapping[str, bool]
    note: str

    def shown(self, found: Survey) -> Study:
        """The study with those of its jobs that were looked at."""
        subjects = [
            Subject(
                name=f"{places[0][1]} {job[:SHORT_ID]}",
                study=self.study,
                sweeps=tuple(sweep for sweep, _ in places),
                arm=self.arms.get(job, 0),
                facts=found.facts[job],
                status=found.statuses[job],
            )
            for job, places in self.jobs.items()
            if job in found.statuses
        ]
        return Study(name=self.study, subjects=subjects, axes=self.axes, note=self.note)


def outlines_of(root: Root, names: Sequence[str]) -> list[Outline]:
    """The named studies, or those of the named sweeps; all there are, if none is named.

    All of a study's sweeps belong to it: a job's tags name every one that has it.

    Raises:
        SpecError: nothing is called so.
    """
    revisions = {sweep: launched_revision(root, sweep) for sweep in root.sweep_names()}
    studies: dict[str, dict[str, dict[str, Any]]] = {}
    for sweep, revision in revisions.items():
        studies.setdefault(revision["study"], {})[sweep] = revision
    known = {*studies, *revisions}
    if unknown := [name for name in names if name not in known]:
        raise SpecError(
            f"No study or sweep '{unknown[0]}' was launched under {root.path}. "
            f"There are: {', '.join(sorted(known)) or 'none'}"
        )
    return [
        _outline(root, study, sweeps)
        for study, sweeps in studies.items()
        if not names or {study, *sweeps} & set(names)
    ]


def _outline(root: Root, study: str, sweeps: Mapping[str, dict[str, Any]]) -> Outline:
    jobs: dict[str, list[tuple[str, str]]] = {}
    forms: dict[str, Mapping[str, Any]] = {}
    for sweep, revision in sweeps.items():
        for job in revision["jobs"]:
            jobs.setdefault(job["id"], []).append((sweep, job["name"]))
            with suppress(FileNotFoundError, RootError, KeyError):  # told when the job is shown
                form = job.get("form") or read_record(root.job(job["id"]).record)
                forms[job["id"]] = form["reduced"]
    note = "\n\n".join(_said(*each) for each in sweeps.items())
    return Outline(study, jobs, arms_of(forms), varied(list(forms.values())), note)


def arms_of(forms: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Jobs by number, those alike but for their seeds by the same; numbered as they come."""
    numbers: dict[str, int] = {}
    without = {
        job: json.dumps({key: at for key, at in form.items() if key != "seed"})
        for job, form in forms.items()
    }
    return {job: numbers.setdefault(arm, len(numbers)) for job, arm in without.items()}


def varied(forms: Sequence[Mapping[str, Any]]) -> dict[str, bool]:
    """The configuration keys that differ between jobs, and whether those that train compare by it.

    They do where it differs between them and all have it: the reduced forms show what differs; a
    key below a section that some job lacks, such as the gate's, is not in every whole
    configuration. Whose weights a job looks at is told by its name.
    """
    training = [one for one in forms if "of" not in one] or forms
    differ, apart = _differing(forms), _differing(training)
    whole = [completed(one) for one in training] if apart else []
    return {key: key in apart and all(key in one for one in whole) for key in sorted(differ)}


def _differing(forms: Sequence[Mapping[str, Any]]) -> set[str]:
    keys = {key for one in forms for key in one} - {"of"}
    return {key for key in keys if len({_text(one, key) for one in forms}) > 1}


def _text(plain: Mapping[str, Any], key: str) -> str | None:
    return json.dumps(plain[key]) if key in plain else None


def _said(sweep: str, revision: Mapping[str, Any]) -> str:
    question = revision["question"] or "(no question)"
    return f"**{sweep}** ({len(revision['jobs'])} jobs): {question}"
