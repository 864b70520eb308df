"""With what a job was made, aspect by aspect, as its files and its parent's tell."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.config import JobConfig, RunConfig
from orchestrator.controller.origin import origin_of
from orchestrator.controller.select import Named
from orchestrator.errors import OrchestrateError, RootError
from orchestrator.jobs.facts import (
    Attempt,
    Ending,
    JobFacts,
    contributors,
    final_attempt,
    read_history,
)
from orchestrator.jobs.files import read_record
from orchestrator.jobs.gather import Beside, attempts_on, gather, read_submissions
from orchestrator.jobs.identity import flatten
from orchestrator.jobs.journal import History
from orchestrator.jobs.layout import Root
from orchestrator.jobs.orders import read_orders, standing_orders
from orchestrator.jobs.probes import read_history as read_probes
from orchestrator.jobs.records import read_job, read_trained
from orchestrator.jobs.submissions import Submission
from orchestrator.jobs.summary import weights_read

MEASURED_WITH = ("packages", "python", "system", "libc", "processor", "cores", "driver", "gpus")
"""Of ``environment.json`` what may change a number; where a job ran does not."""
Facts = Mapping[str, Mapping[str, Any]]
"""By aspect (settings, placement, code, weights, data, environment), dotted names and values."""
VARIABLES = ("CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE", "OMP_NUM_THREADS", "MKL_CBWR")


@dataclass(frozen=True, slots=True)
class Found:
    """What files tell of a run.

    Attributes:
        job: which.
        facts: its attempts, and what of it is damaged.
        history: what it measured.
        config: its own configuration.
        trained: that by which its model was trained; None: that cannot be read, or is of no job.
        parent: of a child, the attempts on the job whose weights it looked at.
    """

    job: Named
    facts: JobFacts
    history: History
    config: JobConfig
    trained: RunConfig | None
    parent: tuple[Attempt, ...]


def find(root: Root, *jobs: Named) -> list[Found]:
    """What their files tell of jobs.

    Raises:
        OrchestrateError: the record of one of them is missing or damaged.
    """
    beside = Beside(standing=standing_orders(read_orders(root)))
    facts = gather(root, {job.id for job in jobs}, read_submissions(root), beside)
    return [_found(root, job, facts[job.id]) for job in jobs]


def _found(root: Root, job: Named, facts: JobFacts) -> Found:
    form = None if facts.attempts else job.form
    config = read_job(root, job.id, form)
    trained, parent = None, None if isinstance(config, RunConfig) else config.parent
    with suppress(OrchestrateError):  # its parent's record may be gone, or not there yet
        trained = read_trained(root, job.id, form)
    attempts = attempts_on(root, [parent])[parent] if parent else ()
    history = read_history(root.job(job.id), facts.discarded)
    return Found(job, facts, history, config, trained, attempts)


def facts_of(root: Root, found: Found) -> Facts:
    """What a run was made with: all code and data, the place and environment of its last start."""
    counted = _made_by(found.facts.attempts)
    last = counted[-1] if counted else None
    return {
        "settings": _settings(found),
        "placement": _placement(root, last),
        "code": _code(root, counted),
        "weights": _weights(found),
        "data": {**_data(counted), "probed images": _probed(root, found)},
        "environment": _environment(root, found.job.id, counted),
    }


def _made_by(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Those that made what a job has measured, oldest first; as if it ended now, if it did not."""
    if attempts and final_attempt(attempts) is None:
        attempts = [*attempts[:-1], replace(attempts[-1], ending=Ending.FINISHED)]
    return contributors(attempts)[::-1]


def _each(values: Iterable[Any]) -> Any:
    """What attempts have in common; of several, each once in their order; None: there is none."""
    several = list(dict.fromkeys(values))
    return several if len(several) > 1 else next(iter(several), None)


def _settings(found: Found) -> dict[str, Any]:
    """A child's own, and those of its parent that it does not set itself."""
    configs = (found.trained, found.config)
    return {key: value for one in configs if one for key, value in flatten(one.to_plain())}


def _placement(root: Root, last: Attempt | None) -> dict[str, Any]:
    if last is None:
        return {}
    with suppress(FileNotFoundError, OrchestrateError):
        placement = Submission.read(root.submission(last.start.token)).placement
        return dict(flatten(placement.to_plain()))
    return {}


def _code(root: Root, counted: Sequence[Attempt]) -> dict[str, Any]:
    origins = (origin_of(root, one.start.token) for one in counted)
    return {
        "hash": _each(one.start.code_hash or None for one in counted),
        "origin": _each(origin and str(origin) for origin in origins),
    }


def _weights(found: Found) -> dict[str, Any]:
    """Those of its parent that a child has read, and the code that trained its parent."""
    trained_by = _made_by(found.parent)
    return {
        "sha256": weights_read(found.facts) or None,
        "code of parent": _each(one.start.code_hash or None for one in trained_by),
    }


def _data(counted: Sequence[Attempt]) -> dict[str, Any]:
    names = ("content", "layout")
    return {n: _each(one.start.facts.get(f"{n}_hash") for one in counted) for n in names}


def _probed(root: Root, found: Found) -> Any:
    try:
        return sorted(read_probes(root.job(found.job.id).probes, found.facts.attempts).batches)
    except (FileNotFoundError, RootError):
        return "a probe cannot be read"


def _environment(root: Root, job: str, counted: Sequence[Attempt]) -> dict[str, Any]:
    if not counted:
        return {}
    world = {"world": _each(one.start.facts.get("world") for one in counted)}
    with suppress(FileNotFoundError, OrchestrateError):
        told = read_record(root.job(job).attempt(counted[-1].number).environment)
        kept = {name: told.get(name) for name in MEASURED_WITH}
        set_here = {name: told.get("variables", {}).get(name) for name in VARIABLES}
        return dict(flatten({**kept, "variables": set_here, **world}))
    return world
