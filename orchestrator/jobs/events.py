"""Events of sweeps on disk: what happened, each once, and that it was told."""

import time
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from orchestrator.config.section import Section
from orchestrator.jobs.files import checked, publish_once, read_record, refuse_newer, to_json
from orchestrator.jobs.layout import Root

SCHEMA = 1
What = Literal["ended", "failures", "budget"]


class Event(Section):
    """Something that happened to a sweep, and how things stood when it was found out."""

    schema_version: int = SCHEMA
    event: What
    about: str
    """What exactly happened; no two events of a sweep say the same."""
    sweep: str
    study: str
    revision: int
    """Of the sweep."""
    time: float = Field(default_factory=time.time)
    message: str
    """In one sentence."""
    counts: dict[str, int]
    """Jobs by state."""
    failed: int
    """Jobs that failed, diverged, or were preempted and given up."""
    gpu_hours: float
    """Spent so far."""
    max_gpu_hours: float | None = None
    kind: str = ""
    """Of ``failures``: a class of ``rules.RULES``."""
    starts: dict[str, int] = Field(default_factory=dict)
    """Of ``failures``: by job, how many starts it had when it was given up."""
    stopped: bool = False
    """Of ``failures``: whether no further jobs are started because of them."""


def read_events(root: Root, sweep: str) -> dict[int, Event]:
    """All of a sweep's events by number, oldest first.

    Raises:
        RootError: one is damaged, or of a newer version.
    """
    found = {}
    for path in sorted(root.events(sweep).glob("[0-9]*.json"), key=lambda path: path.name):
        if path.stem.isdecimal():
            plain = read_record(path)
            refuse_newer(path, plain.get("schema_version"), SCHEMA)
            found[int(path.stem)] = checked(Event, plain, path)
    return dict(sorted(found.items()))


def publish_event(root: Root, number: int, event: Event) -> bool:
    """Add an event as number ``number``; False if somebody else has added one under it."""
    path = root.events(event.sweep) / f"{number:03d}.json"
    return publish_once(path, to_json(event.to_plain()))


def untold(root: Root, sweep: str) -> dict[int, Event]:
    """The events that no command was told of yet."""
    events = read_events(root, sweep)
    folder = root.events(sweep)
    return {n: event for n, event in events.items() if not (folder / _told(n)).exists()}


def mark_told(root: Root, sweep: str, number: int, how: Mapping[str, Any]) -> None:
    """Say that the command was told of an event, and how that went."""
    record = {"schema": SCHEMA, "time": time.time(), **how}
    publish_once(root.events(sweep) / _told(number), to_json(record))


def _told(number: int) -> str:
    return f"{number:03d}.told.json"
