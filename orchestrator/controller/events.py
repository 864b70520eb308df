"""What happens to a sweep that is worth a message: decided from one look, and what was told."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.controller.breaker import Limits, common_failure, unkept
from orchestrator.controller.budget import is_spent
from orchestrator.controller.survey import Survey
from orchestrator.jobs.events import Event, What
from orchestrator.jobs.rules import RULES
from orchestrator.jobs.state import JobStatus, State

BURST = 5
"""So many jobs that fail alike are a burst where the sweep's ``max_failures`` is null."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A sweep as one look found it; ``settled``: nothing more will happen without a person."""

    sweep: str
    study: str
    revision: int
    limits: Limits
    found: Survey
    gpu_hours: float
    settled: bool


def news(scene: Scene, known: Sequence[Event]) -> list[Event]:
    """The events that the scene shows and that are not among the ``known`` ones."""
    told = {event.about for event in known}
    shown = [*_failures(scene, known), *_budget(scene), *_ended(scene)]
    return [event for event in shown if event.about not in told]


def _failures(scene: Scene, known: Sequence[Event]) -> Iterator[Event]:
    """A burst for each kind: as many jobs given up for it as trip the circuit breaker.

    Starts that an event has named are not news again, unless they have tripped it since.
    """
    statuses = unkept(scene.found)
    common = common_failure(statuses, scene.limits.failures)
    kinds: dict[str, dict[str, int]] = {}
    for job, status in statuses.items():
        if status.state is State.FAILED and status.given_up:
            kinds.setdefault(status.kind, {})[job] = _starts(scene.found, job)
    for kind, starts in kinds.items():
        named = [event for event in known if event.kind == kind]
        old = {start for event in named for start in event.starts.items()}
        stopped_for = {s for event in named if event.stopped for s in event.starts.items()}
        trips = kind == common and not stopped_for & starts.items()
        fresh = starts.items() - old
        if trips or len(fresh) >= (scene.limits.failures or BURST):
            more = ": no further ones are started" if kind == common else ""
            yield _event(
                scene,
                "failures",
                about=[kind, trips, sorted(starts.items() if trips else fresh)],
                message=f"{len(starts)} jobs of {scene.sweep} failed alike ({kind}, "
                f"{RULES[kind].meaning}){more}.",
                kind=kind,
                starts=starts,
                stopped=kind == common,
            )


def _budget(scene: Scene) -> Iterator[Event]:
    """Each size of a budget is reached once."""
    most = scene.limits.gpu_hours
    if is_spent(scene.gpu_hours, most):
        message = (
            f"The jobs of {scene.sweep} have spent {scene.gpu_hours:.4g} GPU-hours of {most:g}: "
            "no further ones are started, and those that have begun go on."
        )
        yield _event(scene, "budget", about=most, message=message)


def _ended(scene: Scene) -> Iterator[Event]:
    """A sweep that was submitted or started again since ends again."""
    if not scene.settled:
        return
    found = scene.found
    tokens = found.memory.tokens if found.memory else {}
    about = sorted((job, _starts(found, job), len(tokens.get(job, ()))) for job in found.statuses)
    counts = ", ".join(f"{count} {state}" for state, count in _counts(found).items())
    message = f"Sweep {scene.sweep} has ended: {counts or 'it has no jobs'}."
    yield _event(scene, "ended", about=about, message=message)


def _event(scene: Scene, what: What, *, about: Any, message: str, **more: Any) -> Event:
    digest = hashlib.blake2b(json.dumps(about).encode(), digest_size=16).hexdigest()
    return Event(
        event=what,
        about=f"{what} {digest}",
        sweep=scene.sweep,
        study=scene.study,
        revision=scene.revision,
        message=message,
        counts=_counts(scene.found),
        failed=sum(map(_has_failed, scene.found.statuses.values())),
        gpu_hours=scene.gpu_hours,
        max_gpu_hours=scene.limits.gpu_hours,
        **more,
    )


def _counts(found: Survey) -> dict[str, int]:
    """Jobs by state, in the order of the states."""
    counts = Counter(status.state for status in found.statuses.values())
    return {state.value: counts[state] for state in State if counts[state]}


def _has_failed(status: JobStatus) -> bool:
    """As ``failures`` counts them."""
    over = status.state is State.PREEMPTED and status.given_up
    return status.state is State.FAILED or status.outcome == "diverged" or over


def _starts(found: Survey, job: str) -> int:
    settled = found.settled.get(job)
    return settled.summary.attempts if settled else len(found.facts[job].attempts)


AS_ASKED = {State.DONE.value, State.STOPPED.value}
NEXT: dict[What, Callable[[Event], str]] = {
    "ended": lambda event: "results" if event.counts.keys() <= AS_ASKED else "failures",
    "failures": lambda _: "failures",
    "budget": lambda _: "status",
}
"""The verb that tells more of an event."""
